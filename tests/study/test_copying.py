"""A copied study is the same study, and half a copy is never taken for one."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from rich_studies import KINDS, STATES, describe_study, make_rich_study, make_trial

from searchlab.errors import InfrastructureError, InputError
from searchlab.study.locks.lease import LEASE
from searchlab.study.storage.opening import open_storage, sqlite_url
from searchlab.study.storage.server import start_server
from searchlab.study.transfer import copying
from searchlab.study.transfer.copying import (
    COPYING,
    check_target,
    copy_study,
    is_half_copied,
    list_studies,
)


@pytest.fixture
def source() -> BaseStorage:
    storage = InMemoryStorage()
    make_rich_study(storage)
    return storage


@pytest.fixture
def target(tmp_path: Path) -> BaseStorage:
    return open_storage(sqlite_url(tmp_path / "target.db"))


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    server = start_server(
        open_storage(sqlite_url(tmp_path / "behind.db")), host="127.0.0.1", port=0
    )
    yield f"grpc://127.0.0.1:{server.port}"
    server.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_copy_is_equal_in_everything(kind: str, tmp_path: Path, source: BaseStorage) -> None:
    target = KINDS[kind](tmp_path)
    copied = copy_study(source, target, "rich")
    assert describe_study(target) == describe_study(source)
    assert copied.num_trials == len(STATES)
    assert copied.states == {"COMPLETE": 2, "FAIL": 1, "PRUNED": 1, "RUNNING": 1, "WAITING": 1}


def test_copy_is_read_by_another_process_alike(source: BaseStorage, tmp_path: Path) -> None:
    target = open_storage(sqlite_url(tmp_path / "a.db"))
    copy_study(source, target, "rich")
    target.close()
    assert describe_study(RDBStorage(sqlite_url(tmp_path / "a.db"))) == describe_study(source)


def test_copy_goes_through_a_proxy_and_back(source: BaseStorage, proxy: str) -> None:
    behind = open_storage(proxy)
    copy_study(source, behind, "rich")
    back = InMemoryStorage()
    copy_study(open_storage(proxy), back, "rich")
    assert describe_study(back) == describe_study(source)


@pytest.mark.postgres
def test_copy_goes_to_postgres_and_back(source: BaseStorage, postgres_url: str) -> None:
    there = open_storage(postgres_url)
    copy_study(source, there, "rich")
    assert describe_study(there) == describe_study(source)
    back = InMemoryStorage()
    copy_study(there, back, "rich")
    assert describe_study(back) == describe_study(source)
    there.close()


def test_copy_under_another_name(source: BaseStorage) -> None:
    copied = copy_study(source, source, "rich", new_name="other")
    assert copied.study == "other"
    assert describe_study(source, "other") == describe_study(source)


def test_copy_can_be_continued_and_copied_again(source: BaseStorage, target: BaseStorage) -> None:
    copy_study(source, target, "rich")
    study = optuna.load_study(study_name="rich", storage=target)
    assert study.ask().number == 3, "the waiting one"
    assert study.ask().number == len(STATES)
    again = InMemoryStorage()
    copy_study(target, again, "rich")
    assert describe_study(again) == describe_study(target)


def test_trials_without_a_stamp_are_the_same(target: BaseStorage) -> None:
    source = InMemoryStorage()
    study = optuna.create_study(storage=source, study_name="plain")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    for storage in (target, InMemoryStorage()):
        copy_study(source, storage, "plain")
        assert describe_study(storage, "plain") == describe_study(source, "plain")


@pytest.mark.parametrize("kind", KINDS)
def test_trials_that_share_a_stamp_are_all_copied(kind: str, tmp_path: Path) -> None:
    source, target = InMemoryStorage(), KINDS[kind](tmp_path)
    study = optuna.create_study(storage=source, study_name="adopted")
    stamp = {"searchlab:origin": "host-1/adopted"}
    for number in range(3):
        trial = make_trial(number, TrialState.RUNNING, system_attrs=stamp)
        source.create_new_trial(study._study_id, trial)
    copy_study(source, target, "adopted")
    trials = optuna.load_study(study_name="adopted", storage=target).trials
    stamps = [trial.system_attrs["searchlab:origin"] for trial in trials]
    assert stamps == ["host-1/adopted-0", "host-1/adopted-1", "host-1/adopted-2"]


def test_lease_and_ids_stay_where_they_mean_something(
    source: BaseStorage, target: BaseStorage
) -> None:
    study_id = source.get_study_id_from_name("rich")
    source.set_study_system_attr(study_id, "searchlab:lease", {"driver": "x"})
    source.set_study_system_attr(study_id, "NSGAIISampler:parent:3", [1, 2])
    copy_study(source, target, "rich")
    there = target.get_study_system_attrs(target.get_study_id_from_name("rich"))
    assert there.keys() == {COPYING, "note", "study:metric_names"}


@pytest.mark.parametrize("kind", KINDS)
def test_progress_ends_at_the_total(kind: str, tmp_path: Path, source: BaseStorage) -> None:
    seen: list[tuple[int, int]] = []
    target = KINDS[kind](tmp_path)
    copy_study(source, target, "rich", on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(STATES), len(STATES))


# What is refused


def test_study_in_the_way_is_refused_and_untouched(
    source: BaseStorage, target: BaseStorage
) -> None:
    study = optuna.create_study(storage=target, study_name="rich")
    study.set_user_attr("mine", 1)
    before = describe_study(target)
    with pytest.raises(InputError, match="has a study named rich already"):
        check_target(target, "rich")
    with pytest.raises(InputError, match="has a study named rich already"):
        copy_study(source, target, "rich")
    assert describe_study(target) == before


def test_unknown_study_is_refused_and_nothing_made(
    source: BaseStorage, target: BaseStorage
) -> None:
    with pytest.raises(InputError, match=r"holds no study named rihc.*Did you mean rich"):
        copy_study(source, target, "rihc")
    assert target.get_all_studies() == []


def test_numbers_with_a_gap_are_refused(target: BaseStorage) -> None:
    class Gapped(InMemoryStorage):
        def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
            return super().get_all_trials(*args, **kwargs)[1:]

    source = Gapped()
    make_rich_study(source)
    with pytest.raises(InputError, match="number its trials from 0"):
        copy_study(source, target, "rich")


# Copies that are cut off


def _interrupt(_done: int, _total: int) -> None:
    raise KeyboardInterrupt


def _cut_off(source: BaseStorage, target: BaseStorage) -> None:
    with pytest.raises(KeyboardInterrupt):
        copy_study(source, target, "rich", on_progress=_interrupt)


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_copy_is_marked_and_begun_again(
    kind: str, tmp_path: Path, source: BaseStorage
) -> None:
    target = KINDS[kind](tmp_path)
    _cut_off(source, target)
    assert is_half_copied(target, "rich")
    assert list_studies(target) == []
    with pytest.raises(InputError, match="only a part of study rich"):
        copy_study(target, InMemoryStorage(), "rich")
    copy_study(source, target, "rich")
    assert not is_half_copied(target, "rich")
    assert list_studies(target) == ["rich"]
    assert describe_study(target) == describe_study(source)


_KILLED = """
import os, sys
from searchlab.study.transfer.copying import copy_study
from searchlab.study.storage.opening import open_storage
copy_study(open_storage(sys.argv[1]), open_storage(sys.argv[2]), "rich",
           on_progress=lambda done, total: os._exit(9))
"""


def test_killed_copy_is_begun_again(source: BaseStorage, tmp_path: Path) -> None:
    origin, goal = (sqlite_url(tmp_path / name) for name in ("a.db", "b.db"))
    copy_study(source, open_storage(origin), "rich")
    killed = subprocess.run([sys.executable, "-c", _KILLED, origin, goal], check=False)
    assert killed.returncode == 9
    target = open_storage(goal)
    assert is_half_copied(target, "rich")
    copy_study(open_storage(origin), target, "rich")
    assert describe_study(target) == describe_study(source)


def test_copy_killed_before_its_mark_is_begun_again(
    source: BaseStorage, target: BaseStorage
) -> None:
    directions = source.get_study_directions(source.get_study_id_from_name("rich"))
    target.create_new_study(directions, "rich")
    copy_study(source, target, "rich")
    assert describe_study(target) == describe_study(source)


def test_a_driver_that_looked_in_leaves_a_copy_good(
    source: BaseStorage, target: BaseStorage
) -> None:
    """It is refused, for the study is half a copy, but its lease was there."""
    directions = source.get_study_directions(source.get_study_id_from_name("rich"))
    study_id = target.create_new_study(directions, "rich")
    target.set_study_system_attr(study_id, LEASE, {})

    def look_in(_done: int, _total: int) -> None:
        target.set_study_system_attr(study_id, LEASE, {"driver": "early"})

    copy_study(source, target, "rich", on_progress=look_in)
    assert target.get_study_system_attrs(study_id)[LEASE] == {"driver": "early"}
    assert not is_half_copied(target, "rich")


def test_empty_study_of_other_directions_is_not_taken(
    source: BaseStorage, target: BaseStorage
) -> None:
    optuna.create_study(storage=target, study_name="rich", direction="maximize")
    with pytest.raises(InputError, match="has a study named rich already"):
        copy_study(source, target, "rich")
    assert list_studies(target) == ["rich"]


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
def test_copy_that_differs_stays_marked(
    spoil: Callable[[list[FrozenTrial]], list[FrozenTrial]],
    what: str,
    source: BaseStorage,
    target: BaseStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = copying._write_trials
    monkeypatch.setattr(
        copying,
        "_write_trials",
        lambda storage, study_id, trials, mark: write(storage, study_id, spoil(list(trials)), mark),
    )
    with pytest.raises(InfrastructureError, match=what):
        copy_study(source, target, "rich")
    assert is_half_copied(target, "rich")


def test_two_copies_of_one_study_at_once_are_noticed(
    source: BaseStorage, target: BaseStorage
) -> None:
    def rival(_done: int, _total: int) -> None:
        copy_study(source, target, "rich")

    with pytest.raises(InfrastructureError):
        copy_study(source, target, "rich", on_progress=rival)
    assert describe_study(target) == describe_study(source), "the rival's copy is whole"


def test_trial_that_ended_while_it_was_read_is_running_without_values(
    target: BaseStorage,
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
def test_thousand_trials_are_copied_whole(tmp_path: Path, target: BaseStorage) -> None:
    source = InMemoryStorage()
    study = optuna.create_study(
        storage=source, study_name="rich", directions=["maximize", "minimize"]
    )
    for number in range(1000):
        source.create_new_trial(study._study_id, make_trial(number, STATES[number % len(STATES)]))
    assert copy_study(source, target, "rich").num_trials == 1000
    assert describe_study(target) == describe_study(source)
