"""A copied study is the same study, and a copy that is cut off leaves nothing behind."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from flaky_storages import make_outage
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich_studies import STATES, describe_study, make_rich_study, make_trial

from searchlab.errors import InfrastructureError, InputError
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.transfer import study_rows
from searchlab.transfer.copying import check_target, copy_study, list_studies


@pytest.fixture
def source() -> BaseStorage:
    storage = InMemoryStorage()
    make_rich_study(storage)
    return storage


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "target.db")


@pytest.fixture
def target(url: str) -> RetryingStorage:
    return open_storage(url)


def add_trial(storage: BaseStorage, state: TrialState = TrialState.COMPLETE) -> None:
    study_id = storage.get_study_id_from_name("rich")
    number = len(storage.get_all_trials(study_id))
    storage.create_new_trial(study_id, make_trial(number, state))


def test_copy_is_equal_in_everything(source: BaseStorage, target: RetryingStorage) -> None:
    copied = copy_study(source, target, "rich")
    assert describe_study(target) == describe_study(source)
    assert copied.num_trials == len(STATES)
    assert copied.states == {"COMPLETE": 2, "FAIL": 1, "PRUNED": 1, "RUNNING": 1, "WAITING": 1}


def test_copy_is_read_by_another_process_alike(source: BaseStorage, tmp_path: Path) -> None:
    target = open_storage(sqlite_url(tmp_path / "a.db"))
    copy_study(source, target, "rich")
    target.close()
    assert describe_study(RDBStorage(sqlite_url(tmp_path / "a.db"))) == describe_study(source)


@pytest.mark.postgres
def test_copy_goes_to_postgres_and_back(
    source: BaseStorage, target: RetryingStorage, postgres_url: str
) -> None:
    there = open_storage(postgres_url)
    copy_study(source, there, "rich")
    assert describe_study(there) == describe_study(source)
    copy_study(there, target, "rich")
    assert describe_study(target) == describe_study(source)
    there.close()


def test_copy_under_another_name(target: RetryingStorage) -> None:
    make_rich_study(target)
    copied = copy_study(target, target, "rich", new_name="other")
    assert copied.study == "other"
    assert describe_study(target, "other") == describe_study(target)


def test_copy_can_be_continued_and_copied_again(
    source: BaseStorage, target: RetryingStorage
) -> None:
    copy_study(source, target, "rich")
    study = optuna.load_study(study_name="rich", storage=target)
    assert study.ask().number == 3, "the waiting one"
    assert study.ask().number == len(STATES)
    copy_study(target, target, "rich", new_name="again")
    assert describe_study(target, "again") == describe_study(target)


def test_trials_without_a_stamp_are_the_same(target: RetryingStorage) -> None:
    source = InMemoryStorage()
    study = optuna.create_study(storage=source, study_name="plain")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    copy_study(source, target, "plain")
    assert describe_study(target, "plain") == describe_study(source, "plain")


def test_trials_that_share_a_mark_are_all_copied(target: RetryingStorage) -> None:
    """As trials that one driver took over did in earlier versions."""
    source = InMemoryStorage()
    study = optuna.create_study(storage=source, study_name="adopted")
    mark = {"searchlab:origin": "host-1/adopted"}
    for number in range(3):
        trial = make_trial(number, TrialState.RUNNING, system_attrs=mark)
        source.create_new_trial(study._study_id, trial)
    copy_study(source, target, "adopted")
    assert describe_study(target, "adopted") == describe_study(source, "adopted")


def test_attributes_that_mean_something_in_one_storage_are_not_copied(
    source: BaseStorage, target: RetryingStorage
) -> None:
    study_id = source.get_study_id_from_name("rich")
    for key in ("searchlab:turn", "searchlab:lease", "searchlab:copying"):
        source.set_study_system_attr(study_id, key, "x")
    source.set_study_system_attr(study_id, "NSGAIISampler:parent:3", [1, 2])
    copy_study(source, target, "rich")
    there = target.get_study_system_attrs(target.get_study_id_from_name("rich"))
    assert there.keys() == {"note", "study:metric_names"}


def test_progress_ends_at_the_total(source: BaseStorage, target: RetryingStorage) -> None:
    seen: list[tuple[int, int]] = []
    copy_study(source, target, "rich", on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(STATES), len(STATES))


# Copies onto a study that is there


def test_copying_twice_changes_nothing(source: BaseStorage, target: RetryingStorage) -> None:
    copy_study(source, target, "rich")
    study_id = target.get_study_id_from_name("rich")
    assert copy_study(source, target, "rich").num_trials == len(STATES)
    assert target.get_study_id_from_name("rich") == study_id
    assert describe_study(target) == describe_study(source)


def test_a_copy_of_a_study_that_went_on_brings_the_earlier_one_up_to_date(
    source: BaseStorage, target: RetryingStorage, url: str
) -> None:
    make_rich_study(target, "other")
    untouched = describe_study(target, "other")
    copy_study(source, target, "rich")
    study_id = source.get_study_id_from_name("rich")
    running = source.get_trial_id_from_study_id_trial_number(study_id, 1)
    source.set_trial_intermediate_value(running, 9, 0.5)
    source.set_trial_state_values(running, TrialState.COMPLETE, [0.5, 1.0])
    add_trial(source)
    source.set_study_user_attr(study_id, "searchlab.progress", {"finished": True})
    check_target(source, target, "rich")
    copy_study(source, target, "rich")
    again = open_storage(url)
    assert describe_study(again) == describe_study(source)
    assert describe_study(again, "other") == untouched
    assert list_studies(again) == ["other", "rich"]


def set_attribute(study: Study) -> None:
    study.set_user_attr("mine", 1)


def add_finished(study: Study) -> None:
    add_trial(study._storage)


def take_over(study: Study) -> None:
    running = study.trials[1]._trial_id
    study._storage.set_trial_system_attr(running, "searchlab:origin", "driver-2/adopted-1")


def report(study: Study) -> None:
    running = study.trials[1]._trial_id
    study._storage.set_trial_intermediate_value(running, 9, 0.5)


def end_trial(study: Study) -> None:
    study.tell(1, [0.5, 1.0])


@pytest.mark.parametrize("change", [set_attribute, add_finished, take_over, report, end_trial])
def test_a_copy_that_went_on_by_itself_is_refused_and_untouched(
    change: Callable[[Study], None], source: BaseStorage, target: RetryingStorage
) -> None:
    copy_study(source, target, "rich")
    change(optuna.load_study(study_name="rich", storage=target))
    before = describe_study(target)
    for refuse in (check_target, copy_study):
        with pytest.raises(InputError, match="has a study named rich already"):
            refuse(source, target, "rich")
    assert describe_study(target) == before


@pytest.mark.parametrize("directions", [["maximize"], ["maximize", "minimize"]])
def test_another_study_of_the_same_name_is_refused_and_untouched(
    directions: list[str], source: BaseStorage, target: RetryingStorage
) -> None:
    study = optuna.create_study(storage=target, study_name="rich", directions=directions)
    study.enqueue_trial({"x": 1.0})
    before = describe_study(target)
    for refuse in (check_target, copy_study):
        with pytest.raises(InputError, match="has a study named rich already"):
            refuse(source, target, "rich")
    assert describe_study(target) == before


def test_what_an_earlier_version_left_of_a_copy_is_replaced(
    source: BaseStorage, target: RetryingStorage, url: str
) -> None:
    study = optuna.create_study(
        storage=target, study_name="rich", directions=["maximize", "minimize"]
    )
    target.set_study_system_attr(study._study_id, "searchlab:copying", "cut off")
    target.create_new_trial(study._study_id, make_trial(0, STATES[0]))
    copy_study(source, target, "rich")
    assert describe_study(open_storage(url)) == describe_study(source)


# What is refused


def test_unknown_study_is_refused_and_nothing_made(
    source: BaseStorage, target: RetryingStorage
) -> None:
    with pytest.raises(InputError, match=r"holds no study named rihc.*Did you mean rich"):
        copy_study(source, target, "rihc")
    assert target.get_all_studies() == []


def test_numbers_with_a_gap_are_refused(target: RetryingStorage) -> None:
    class Gapped(InMemoryStorage):
        def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
            return super().get_all_trials(*args, **kwargs)[1:]

    source = Gapped()
    make_rich_study(source)
    with pytest.raises(InputError, match="number its trials from 0"):
        copy_study(source, target, "rich")


# Copies that are cut off


@pytest.fixture(params=["nothing", "an earlier copy"])
def before(request: pytest.FixtureRequest, source: BaseStorage, target: RetryingStorage) -> str:
    """What the target holds before the copy: all of it as text."""
    if request.param == "an earlier copy":
        copy_study(source, target, "rich")
        add_trial(source)
    return describe_all(target)


def describe_all(storage: BaseStorage) -> str:
    return "".join(describe_study(storage, name) for name in list_studies(storage))


def test_a_copy_that_is_interrupted_leaves_what_was_there(
    before: str, source: BaseStorage, target: RetryingStorage, url: str
) -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_study(source, target, "rich", on_progress=interrupt)
    assert describe_all(open_storage(url)) == before
    copy_study(source, target, "rich")
    assert describe_study(open_storage(url)) == describe_study(source)


_KILLED = """
import os, sys
from searchlab.transfer.copying import copy_study
from searchlab.records.storage.opening import open_storage
copy_study(open_storage(sys.argv[1]), open_storage(sys.argv[2]), "rich",
           on_progress=lambda done, total: os._exit(9))
"""


def kill_a_copy(origin: str, goal: str) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, origin, goal], check=False)
    assert killed.returncode == 9


def test_a_copy_that_is_killed_leaves_nothing(
    source: BaseStorage, url: str, tmp_path: Path
) -> None:
    origin = sqlite_url(tmp_path / "origin.db")
    copy_study(source, open_storage(origin), "rich")
    kill_a_copy(origin, url)
    target = open_storage(url)
    assert list_studies(target) == []
    copy_study(source, target, "rich")
    assert describe_study(target) == describe_study(source)


@pytest.mark.postgres
def test_a_copy_to_postgres_that_is_killed_or_interrupted_leaves_what_was_there(
    source: BaseStorage, postgres_url: str, tmp_path: Path
) -> None:
    origin = sqlite_url(tmp_path / "origin.db")
    copy_study(source, open_storage(origin), "rich")
    kill_a_copy(origin, postgres_url)
    target = open_storage(postgres_url)
    assert list_studies(target) == []
    copy_study(source, target, "rich")
    before = describe_study(target)
    add_trial(source)

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_study(source, target, "rich", on_progress=interrupt)
    again = open_storage(postgres_url)
    assert describe_study(again) == before
    copy_study(source, again, "rich")
    assert describe_study(open_storage(postgres_url)) == describe_study(source)


@pytest.mark.postgres
def test_an_outage_of_postgres_in_a_copy_leaves_nothing(
    source: BaseStorage, postgres: Any, postgres_url: str
) -> None:
    target = open_storage(postgres_url)
    with pytest.raises(InfrastructureError, match=r"was cut off.*run the command again"):
        copy_study(source, target, "rich", on_progress=lambda done, total: postgres.restart())
    assert list_studies(target) == []
    copy_study(source, target, "rich")
    assert describe_study(target) == describe_study(source)


@pytest.mark.postgres
def test_of_two_copies_to_postgres_at_once_one_is_whole(
    source: BaseStorage, postgres_url: str
) -> None:
    first, second = open_storage(postgres_url), open_storage(postgres_url)
    ended: list[Exception | None] = []

    def copy_too() -> None:
        try:
            copy_study(source, second, "rich")
        except (InfrastructureError, InputError) as error:
            ended.append(error)
        else:
            ended.append(None)

    rival = threading.Thread(target=copy_too)

    def begin_rival(_done: int, _total: int) -> None:
        rival.start()
        rival.join(0.5)  # it waits for the end of this transaction

    copy_study(source, first, "rich", on_progress=begin_rival)
    rival.join(60)
    assert len(ended) == 1
    assert describe_study(open_storage(postgres_url)) == describe_study(source)
    assert list_studies(first) == ["rich"]


def test_a_storage_that_fails_in_a_copy_keeps_what_was_there(
    before: str,
    source: BaseStorage,
    target: RetryingStorage,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_arguments: object) -> None:
        raise make_outage()

    monkeypatch.setattr(study_rows, "_insert_trials", fail)
    with pytest.raises(InfrastructureError, match=r"was cut off: gone.*run the command again"):
        copy_study(source, target, "rich")
    assert describe_all(open_storage(url)) == before


def test_a_storage_that_fails_before_a_copy_is_reported_alike(
    source: BaseStorage, target: RetryingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_study(source, target, "rich")

    def fail(*_arguments: object) -> None:
        raise make_outage()

    monkeypatch.setattr("searchlab.transfer.copying.lock_study", fail)
    with pytest.raises(InfrastructureError, match=r"was cut off: gone.*run the command again"):
        check_target(source, target, "rich")


# Copies that are not what was copied


def _spoil(trial: FrozenTrial) -> FrozenTrial:
    trial = copy.deepcopy(trial)
    trial.intermediate_values[0] += 1e-12
    return trial


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda trials: trials[:-1], "5 trials, not 6"),
        (lambda trials: [*trials[:4], _spoil(trials[4]), trials[5]], "trial 4"),
    ],
    ids=["lost", "changed"],
)
def test_a_copy_that_differs_is_not_kept(
    spoil: Callable[[list[FrozenTrial]], list[FrozenTrial]],
    what: str,
    source: BaseStorage,
    target: RetryingStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = study_rows._insert_trials
    monkeypatch.setattr(
        study_rows,
        "_insert_trials",
        lambda session, study_id, trials: write(session, study_id, spoil(list(trials))),
    )
    with pytest.raises(InfrastructureError, match=what):
        copy_study(source, target, "rich")
    assert list_studies(target) == []


def test_trial_that_ended_while_it_was_read_is_running_without_values(
    target: RetryingStorage,
) -> None:
    class Torn(InMemoryStorage):
        """Reads states first and values later, as databases do."""

        def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
            trials = [copy.deepcopy(one) for one in super().get_all_trials(*args, **kwargs)]
            for trial in trials:
                if trial.state == TrialState.RUNNING:
                    trial.values = [0.5, 0.5]
            return trials

    source = Torn()
    make_rich_study(source)
    copy_study(source, target, "rich")
    trial = optuna.load_study(study_name="rich", storage=target).trials[1]
    assert trial.state == TrialState.RUNNING
    assert trial.values is None


@pytest.mark.slow
def test_thousand_trials_are_copied_whole(tmp_path: Path, target: RetryingStorage) -> None:
    source = InMemoryStorage()
    study = optuna.create_study(
        storage=source, study_name="rich", directions=["maximize", "minimize"]
    )
    for number in range(1000):
        source.create_new_trial(study._study_id, make_trial(number, STATES[number % len(STATES)]))
    assert copy_study(source, target, "rich").num_trials == 1000
    assert describe_study(target) == describe_study(source)
