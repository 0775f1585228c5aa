"""Whatever call fails, before its effect or after: nothing is lost and nothing is there twice."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import optuna
import pytest
import sqlalchemy.exc
from flaky_storages import (
    METHODS,
    Faults,
    When,
    describe,
    flaky_commits,
    make_outage,
    make_retrying,
    use_storage,
)
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from searchlab.errors import InfrastructureError
from searchlab.records.storage import retry_policy
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.records.trial_record import CLAIM, CREATED_BY

_WHEN: tuple[When, When] = ("before", "after")
_MAXIMIZE = [StudyDirection.MAXIMIZE]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_policy, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retry_policy, "_LONGEST_PAUSE_SECONDS", 0.01)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _undisturbed() -> list[tuple[object, ...]]:
    return use_storage(InMemoryStorage())


@pytest.mark.parametrize("when", _WHEN)
@pytest.mark.parametrize("method", METHODS)
def test_any_method_may_fail_before_or_after_its_effect(method: str, when: When) -> None:
    faults = Faults(method, when)
    storage = make_retrying(faults)
    assert use_storage(storage) == _undisturbed()
    assert faults.struck > 0


@pytest.mark.parametrize("when", _WHEN)
def test_any_commit_of_a_database_may_fail(tmp_path: Path, when: When) -> None:
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    with flaky_commits(storage, when) as struck:
        assert use_storage(storage) == _undisturbed()
    assert len(struck) > 30
    again = open_storage(sqlite_url(tmp_path / "study.db"))
    assert describe(again) == _undisturbed()


def test_every_trial_is_stamped_from_its_first_moment(tmp_path: Path) -> None:
    storage = open_storage(sqlite_url(tmp_path / "study.db"), driver="me")
    study = optuna.create_study(storage=storage)
    study.enqueue_trial({"x": 1.0})
    study.ask()
    study.ask()
    study.add_trial(create_trial(value=1.0))
    stamps = [trial.system_attrs[CREATED_BY] for trial in study.trials]
    assert len(set(stamps)) == 3
    assert all(stamp.startswith("me/") for stamp in stamps)
    others = {make_retrying().driver for _ in range(2)}
    assert len(others) == 2


def test_a_template_is_left_as_it_was_and_keeps_a_stamp_it_bears() -> None:
    storage = make_retrying(driver="copier")
    study = optuna.create_study(storage=storage)
    plain = create_trial(value=1.0)
    stamped = create_trial(value=2.0, system_attrs={CREATED_BY: "first/7"})
    study.add_trials([plain, stamped])
    assert plain.system_attrs == {}
    assert study.trials[0].system_attrs[CREATED_BY].startswith("copier/")
    assert study.trials[1].system_attrs[CREATED_BY] == "first/7"


def test_a_stamped_trial_is_what_optuna_would_have_made(tmp_path: Path) -> None:
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    plain = InMemoryStorage()
    made = []
    for one in (storage, plain):
        study_id = one.create_new_study(_MAXIMIZE)
        made.append(one.get_trial(one.create_new_trial(study_id)))
    ours, theirs = made
    assert ours.datetime_start is not None
    assert ours.datetime_complete is None
    assert ours.system_attrs.pop(CREATED_BY)
    names = ("number", "state", "values", "params", "user_attrs", "system_attrs")
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]


def test_a_found_trial_is_known_to_the_cache(tmp_path: Path) -> None:
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    study = optuna.create_study(storage=storage)
    with flaky_commits(storage, "after"):
        trial = study.ask()
        assert trial.suggest_float("x", 0, 1) == study.trials[0].params["x"]
        study.tell(trial, 1.0)
    assert [(one.number, one.value) for one in study.trials] == [(0, 1.0)]


def suggest(trial: optuna.Trial) -> optuna.Trial:
    for name in ("x", "y"):
        trial.suggest_float(name, 0, 1)
    return trial


def ask_second(tmp_path: Path) -> tuple[RetryingStorage, optuna.Study, optuna.Trial]:
    """Ask for a trial whose parameters are known: the first of a name are written by Optuna."""
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    study = optuna.create_study(storage=storage)
    study.tell(suggest(study.ask()), 1.0)
    return storage, study, study.ask()


@pytest.mark.parametrize("when", _WHEN)
def test_parameters_are_written_together_once(tmp_path: Path, when: When) -> None:
    storage, _, trial = ask_second(tmp_path)
    other = open_storage(sqlite_url(tmp_path / "study.db"))
    with flaky_commits(storage, when), storage.params_together(trial._trial_id):
        suggest(trial)
        assert other.get_trial(trial._trial_id).params == {}
    assert other.get_trial(trial._trial_id).params == trial.params
    assert set(trial.params) == {"x", "y"}
    trial.suggest_float("z", 0, 1)
    assert other.get_trial(trial._trial_id).params == trial.params


def test_parameters_are_written_in_their_order(tmp_path: Path) -> None:
    storage, study, trial = ask_second(tmp_path)
    with storage.params_together(trial._trial_id):
        suggest(trial)
        trial.suggest_float("z", 0, 1)  # the first of its name
        assert list(study.trials[1].params) == ["x", "y", "z"]
    assert list(study.trials[1].params) == ["x", "y", "z"]


def test_an_outage_before_they_are_written_is_not_waited_for_twice(tmp_path: Path) -> None:
    storage, study, trial = ask_second(tmp_path)

    def suggest_in_an_outage() -> None:
        with storage.params_together(trial._trial_id):
            suggest(trial)
            raise InfrastructureError("the storage was unreachable")

    with pytest.raises(InfrastructureError):
        suggest_in_an_outage()
    assert study.trials[1].params == {}


def test_parameters_before_an_error_are_kept(tmp_path: Path) -> None:
    storage, study, trial = ask_second(tmp_path)

    def suggest_otherwise() -> None:
        with storage.params_together(trial._trial_id):
            trial.suggest_float("x", 0, 1)
            trial.suggest_categorical("y", ["a"])

    with pytest.raises(ValueError, match="distribution"):
        suggest_otherwise()
    assert set(study.trials[1].params) == {"x"}


def test_claim_whose_answer_was_lost_is_won_by_one_driver(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    first, second = (open_storage(url, driver=name) for name in ("first", "second"))
    study = optuna.create_study(storage=first)
    study.enqueue_trial({"x": 1.0})
    with flaky_commits(first, "after"):
        assert first.set_trial_state_values(1, TrialState.RUNNING)
    assert not second.set_trial_state_values(1, TrialState.RUNNING)
    assert study.trials[0].system_attrs[CLAIM].startswith("first/")
    # What is claimed once more is not waiting any longer.
    assert not first.set_trial_state_values(1, TrialState.RUNNING)


def test_trial_told_otherwise_by_another_is_not_taken_for_ours() -> None:
    inner = InMemoryStorage()
    faults = Faults("set_trial_state_values", "before")
    storage = make_retrying(faults, inner)
    study_id = storage.create_new_study(_MAXIMIZE)
    trial_id = storage.create_new_trial(study_id)
    inner.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [2.0])
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial_id, TrialState.FAIL)


def test_study_of_another_is_not_taken_for_ours() -> None:
    inner = InMemoryStorage()
    optuna.create_study(storage=inner, study_name="theirs", direction="maximize").ask()
    storage = make_retrying(Faults("create_new_study", "before"), inner)
    with pytest.raises(DuplicatedStudyError):
        storage.create_new_study(_MAXIMIZE, "theirs")


def test_an_outage_that_lasts_too_long_says_which_storage_and_how_to_go_on() -> None:
    inner = InMemoryStorage()
    inner.create_new_study(_MAXIMIZE, "x")
    faults = Faults(always=True)
    faults.error = make_outage(text="lost me:geheim@db at geheim")
    storage = make_retrying(faults, inner, retry_seconds=0.02)
    with pytest.raises(InfrastructureError, match=r"was unreachable for .*resume the") as error:
        storage.get_all_studies()
    assert "postgresql://me:***@db/x" in str(error.value)
    assert "lost *** at ***" in str(error.value)
    assert "geheim" not in str(error.value)
    assert faults.struck > 2
    faults.always = False
    assert len(storage.get_all_studies()) == 1


def test_retrying_can_be_ended_while_it_lasts() -> None:
    faults = Faults(always=True)
    storage = make_retrying(faults, retry_seconds=10_000)
    threading.Timer(0.05, storage.stop_waiting).start()
    with pytest.raises(InfrastructureError, match="was unreachable"):
        storage.get_all_studies()


def test_an_outage_is_said_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults(always=True)
    storage = make_retrying(faults)
    with caplog.at_level(logging.INFO, logger="searchlab"):
        threading.Timer(0.1, lambda: setattr(faults, "always", False)).start()
        assert storage.get_all_studies() == []
    assert faults.struck > 2
    away, back = (record.getMessage() for record in caplog.records)
    where = "Storage postgresql://me:***@db/x is"
    assert away == f"{where} unreachable; retrying for up to 120 s: gone"
    assert back.startswith(f"{where} back after")
    assert "geheim" not in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        sqlalchemy.exc.PendingRollbackError("rolled back"),
        sqlalchemy.exc.TimeoutError("pool"),
        make_outage(),
    ],
)
def test_calls_are_retried_in_an_outage(error: Exception) -> None:
    faults = Faults("get_all_studies")
    faults.error = error
    assert make_retrying(faults).get_all_studies() == []
    assert faults.struck == 1


@pytest.mark.parametrize(
    "error",
    [
        make_outage(13, "database or disk is full"),
        make_outage(10 | 3 << 8, "disk I/O error"),
        make_outage(8, "attempt to write a readonly database"),
        make_outage(11, "database disk image is malformed"),
        make_outage(1, "no such table: trials"),
    ],
)
def test_what_no_retry_can_fix_ends_at_once(error: Exception) -> None:
    faults = Faults(always=True)
    faults.error = error
    with pytest.raises(InfrastructureError, match=r"cannot be used.*resume"):
        make_retrying(faults).get_all_studies()
    assert faults.struck == 1


@pytest.mark.parametrize(
    "error",
    [
        KeyError("no such study"),
        ValueError("wrong"),
        StorageInternalError("no cause"),
        sqlalchemy.exc.IntegrityError("INSERT", None, Exception("twice")),
        make_outage(1, "near x: syntax error"),
    ],
)
def test_other_errors_pass_unchanged(error: Exception) -> None:
    faults = Faults(always=True)
    faults.error = error
    with pytest.raises(type(error)) as raised:
        make_retrying(faults).get_all_studies()
    assert raised.value is error
    assert faults.struck == 1


def test_what_optuna_asks_of_a_storage_is_answered(tmp_path: Path) -> None:
    database = open_storage(sqlite_url(tmp_path / "study.db"))
    for storage in (database, make_retrying()):
        assert missing_methods(storage) == []
        study = optuna.create_study(storage=storage, study_name="x")
        assert study._storage is storage
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
        assert storage.get_n_trials(study._study_id, TrialState.COMPLETE) == 2
        assert storage.get_trial_params(study.trials[0]._trial_id) == study.trials[0].params
    database.close()
    assert len(database.get_all_studies()) == 1


def missing_methods(storage: BaseStorage) -> list[str]:
    """Methods of Optuna's interface that a wrapper would answer without asking the storage."""
    return [name for name in METHODS if name not in vars(type(storage))]
