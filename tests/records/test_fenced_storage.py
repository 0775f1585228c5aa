"""A driver whose study, or its database, is no longer its own writes nothing more."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from searchlab.errors import InfrastructureError
from searchlab.records.storage import opening
from searchlab.records.storage.fencing import TakenOverError
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.storage.retrying_storage import RetryingStorage

NAME = "letters"


def suggest_together(storage: RetryingStorage, trial: int) -> None:
    with storage.params_together(trial):
        for name in ("x", "y"):
            storage.set_trial_param(trial, name, 0.5, FloatDistribution(0, 1))


# Everything that a driver writes, of the study and of a trial that runs.
WRITES: dict[str, Callable[[RetryingStorage, int, int], object]] = {
    "a new trial": lambda storage, study, _: storage.create_new_trial(study),
    "a value": lambda storage, _, trial: storage.set_trial_state_values(
        trial, TrialState.COMPLETE, [1.0]
    ),
    "an epoch": lambda storage, _, trial: storage.set_trial_intermediate_value(trial, 1, 0.5),
    "a parameter": lambda storage, _, trial: storage.set_trial_param(
        trial, "x", 0.5, FloatDistribution(0, 1)
    ),
    "several parameters": lambda storage, _, trial: suggest_together(storage, trial),
    "an attribute": lambda storage, _, trial: storage.set_trial_user_attr(trial, "a", 1),
    "a mark": lambda storage, _, trial: storage.set_trial_system_attr(trial, "a", 1),
    "several attributes": lambda storage, _, trial: storage.set_trial_attributes(
        trial, user={"a": 1, "b": 2}, system={"a": 3}
    ),
    "the progress": lambda storage, study, _: storage.set_study_user_attr(study, "a", 1),
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def drive(database: Path, driver: str) -> tuple[RetryingStorage, int]:
    storage = open_storage(sqlite_url(database), driver=driver)
    study = optuna.create_study(
        study_name=NAME, storage=storage, load_if_exists=True, direction="maximize"
    )
    storage.drive(NAME, is_alone=True)
    return storage, study._study_id


def describe(database: Path) -> str:
    study = optuna.load_study(study_name=NAME, storage=open_storage(sqlite_url(database)))
    return repr((study.user_attrs, study.get_trials()))


@pytest.mark.parametrize("what", WRITES)
def test_the_driver_that_took_a_study_last_alone_writes_it(database: Path, what: str) -> None:
    first, study = drive(database, "host-1-first")
    trial = first.create_new_trial(study)
    WRITES[what](first, study, trial)
    waiting = first.create_new_trial(study)
    second, _ = drive(database, "host-2-second")
    before = describe(database)
    with pytest.raises(TakenOverError, match="taken over by the driver host-2-second"):
        WRITES[what](first, study, waiting)
    with pytest.raises(TakenOverError, match="taken over"):
        first.check_driven()
    assert describe(database) == before
    second.get_all_trials(study)  # what a driver begins with
    WRITES[what](second, study, waiting)
    second.check_driven()


def test_a_claim_that_falls_into_a_write_waits_for_it(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, study = drive(database, "first")
    trial = first.create_new_trial(study)
    monkeypatch.setattr(opening, "_BUSY_TIMEOUT_SECONDS", 0.01)
    other = open_storage(sqlite_url(database), driver="second", retry_seconds=0)
    with (
        first.database.writing(),
        pytest.raises(InfrastructureError, match=r"was unreachable .* locked"),
    ):
        other.drive(NAME, is_alone=True)
    first.set_trial_user_attr(trial, "a", 1)
    other.drive(NAME, is_alone=True)


def delete_file(database: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()


def delete_log(database: Path) -> None:
    database.with_name("study.db-wal").unlink()


def make_other(database: Path) -> Path:
    other = database.with_name("other.db")
    storage = open_storage(sqlite_url(other))
    optuna.create_study(study_name="other", storage=storage)
    storage.drive("other", is_alone=True)
    storage.close()
    return other


def replace_file(database: Path) -> None:
    make_other(database).replace(database)


def overwrite_file(database: Path) -> None:
    shutil.copyfile(make_other(database), database)


def empty_file(database: Path) -> None:
    database.write_bytes(b"")


def delete_study(database: Path) -> None:
    optuna.delete_study(study_name=NAME, storage=sqlite_url(database))


FAULTS = {
    delete_file: "study.db, which records the study, was deleted or moved away",
    delete_log: "study.db-wal, which records the study, was deleted or moved away",
    replace_file: "study.db, which records the study, was replaced by another file",
    overwrite_file: "study.db, which records the study, was replaced by another file",
    empty_file: "study.db, which records the study, was replaced by another file",
    delete_study: "the study letters was deleted in its storage",
}


@pytest.mark.parametrize("spoil", FAULTS)
def test_what_vanished_under_a_driver_is_seen(
    database: Path, spoil: Callable[[Path], None]
) -> None:
    storage, _ = drive(database, "me")
    storage.check_driven()
    spoil(database)
    with pytest.raises(InfrastructureError, match=FAULTS[spoil]):
        storage.check_driven()


@pytest.mark.parametrize("spoil", [delete_file, delete_log, replace_file, delete_study])
@pytest.mark.parametrize("what", WRITES)
def test_nothing_is_written_into_what_is_gone(
    database: Path, spoil: Callable[[Path], None], what: str
) -> None:
    storage, study = drive(database, "me")
    trial = storage.create_new_trial(study)
    spoil(database)
    with pytest.raises(InfrastructureError, match=FAULTS[spoil]):
        WRITES[what](storage, study, trial)


def test_a_read_of_a_deleted_study_says_so_too(database: Path) -> None:
    storage, study = drive(database, "me")
    delete_study(database)
    with pytest.raises(InfrastructureError, match="was deleted in its storage"):
        storage.get_all_trials(study)
    with pytest.raises(KeyError):
        open_storage(sqlite_url(database)).get_all_trials(study)


def test_a_database_keeps_its_mark_and_its_driver_s_own_writes_are_no_change(
    database: Path,
) -> None:
    storage, study = drive(database, "me")
    for _ in range(3):
        for number in range(20):
            storage.set_study_user_attr(study, f"filler{number}", "x" * 1000)
        storage.database.engine.dispose()  # the last connection moves the log into the file
        storage.check_driven()
    with closing(sqlite3.connect(database)) as reader:  # which keeps the log from the file
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM studies").fetchone()
        others, _ = drive(database, "me-once-more")
        others.check_driven()
    again, _ = drive(database, "me-again")
    again.check_driven()


def test_a_mark_that_has_not_reached_the_file_is_no_other_file(database: Path) -> None:
    storage = open_storage(sqlite_url(database))
    optuna.create_study(study_name=NAME, storage=storage)
    with closing(sqlite3.connect(database)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM studies").fetchone()
        for driver in ("first", "second"):  # each finds the log only
            held, _ = drive(database, driver)
            held.check_driven()
    held.database.engine.dispose()
    storage.database.engine.dispose()
    held.check_driven()
    overwrite_file(database)
    with pytest.raises(InfrastructureError, match="was replaced"):
        held.check_driven()
