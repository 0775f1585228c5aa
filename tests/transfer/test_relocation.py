"""A run whose study was copied elsewhere goes on there, and its old database is kept but unused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from rich_studies import STATES, describe_study, make_trial, rich_database

from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.transfer.copying import copy_study
from searchlab.transfer.deletion import delete_run
from searchlab.transfer.relocation import SET_ASIDE, plan_relocation

STUDY = {
    "name": "rich",
    "dataset": "digits",
    "space": {"parameters": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "family": "cnn"}},
    "search": {"sampler": "random", "trials": 6},
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "runs" / "rich")
    run.write(STUDY)
    run.database.write_bytes(rich_database())
    return run


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "shared.db")


@pytest.fixture
def shared(run: RunFolder, url: str) -> BaseStorage:
    """A storage to which the run's study was copied."""
    storage = open_storage(url)
    copy_study(open_storage(run.storage_url()), storage, "rich")
    return storage


def relocate(run: RunFolder, storage: BaseStorage, option: str | None) -> None:
    plan = plan_relocation(run, "rich", storage, option)
    if plan is not None:
        plan.carry_out()


def list_folder(run: RunFolder) -> set[str]:
    ignored = ("-wal", "-shm")
    return {path.name for path in run.path.iterdir() if not path.name.endswith(ignored)}


def test_every_later_command_finds_the_study_in_its_new_place(
    run: RunFolder, shared: BaseStorage, url: str
) -> None:
    before = describe_study(open_storage(run.storage_url()))
    relocate(run, shared, url)
    assert run.storage_url() == url
    assert list_folder(run) == {"study.yaml", "storage.json", SET_ASIDE}
    assert describe_study(open_storage(sqlite_url(run.path / SET_ASIDE))) == before


def test_done_again_it_changes_nothing(run: RunFolder, shared: BaseStorage, url: str) -> None:
    for option in (url, url, None):
        relocate(run, shared, option)
    assert list_folder(run) == {"study.yaml", "storage.json", SET_ASIDE}


def test_one_that_was_cut_off_is_finished_without_the_option(
    run: RunFolder, shared: BaseStorage, url: str
) -> None:
    run.note_storage(url)
    assert run.database.exists()
    relocate(run, shared, None)
    assert list_folder(run) == {"study.yaml", "storage.json", SET_ASIDE}


def test_what_lies_in_the_log_of_an_open_database_is_kept(
    run: RunFolder, shared: BaseStorage, url: str
) -> None:
    reader = sqlite3.connect(run.database)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM trials").fetchall()
    with closing(sqlite3.connect(run.database)) as writer:
        writer.execute("INSERT INTO study_user_attributes (study_id, key, value_json) "
                       "VALUES (1, 'late', '1')")  # fmt: skip
        writer.commit()
        relocate(run, shared, url)
    reader.close()
    assert not run.database.with_name("study.db-wal").exists()
    kept = optuna.load_study(study_name="rich", storage=sqlite_url(run.path / SET_ASIDE))
    assert kept.user_attrs["late"] == 1


def test_an_earlier_one_set_aside_is_not_overwritten(
    run: RunFolder, shared: BaseStorage, url: str
) -> None:
    (run.path / SET_ASIDE).write_text("earlier")
    relocate(run, shared, url)
    assert (run.path / SET_ASIDE).read_text() == "earlier"
    assert (run.path / f"{SET_ASIDE}-2").is_file()


def test_password_is_not_noted(run: RunFolder, shared: BaseStorage) -> None:
    relocate(run, shared, "postgresql+psycopg://me:Geheim@host/db")
    assert run.noted_storage == "postgresql+psycopg://me:***@host/db"
    assert "Geheim" not in "".join(path.read_text() for path in run.path.glob("*.json"))


def test_run_noted_elsewhere_keeps_its_note(run: RunFolder, tmp_path: Path, url: str) -> None:
    """What it is opened in may be the same by another address, or another study of that name."""
    first = open_storage(url)
    copy_study(open_storage(run.storage_url()), first, "rich")
    relocate(run, first, url)
    second_url = sqlite_url(tmp_path / "second.db")
    second = open_storage(second_url)
    copy_study(first, second, "rich")
    relocate(run, second, second_url)
    assert run.storage_url() == url


def test_moved_study_can_be_deleted_with_all_of_its_folder(
    run: RunFolder, shared: BaseStorage, url: str
) -> None:
    relocate(run, shared, url)
    assert delete_run(run, storage_option=url).left == ()
    assert not run.path.exists()
    assert optuna.get_all_study_names(url) == []


# What stays as it is


def assert_unchanged(run: RunFolder) -> None:
    assert run.is_embedded()
    assert list_folder(run) == {"study.yaml", "study.db"}
    names = optuna.get_all_study_names(sqlite_url(run.database))
    assert "rich" in names


def test_older_copy_is_refused_and_nothing_changed(
    run: RunFolder, shared: BaseStorage, url: str
) -> None:
    with closing(open_storage(run.storage_url())) as storage:
        study_id = storage.get_study_id_from_name("rich")
        storage.create_new_trial(study_id, make_trial(len(STATES), TrialState.COMPLETE))
    with pytest.raises(InputError, match=r"lacks 1 of the 5 trials that finished in .*study\.db"):
        plan_relocation(run, "rich", shared, url)
    assert_unchanged(run)
    run.database.rename(run.path / "mine.db")  # as the message says
    relocate(run, shared, url)
    assert run.storage_url() == url


def test_study_of_the_same_name_is_not_taken_for_the_runs(run: RunFolder, url: str) -> None:
    theirs = open_storage(url)
    study = optuna.create_study(storage=theirs, study_name="rich")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=6)
    with pytest.raises(InputError, match="lacks 4 of the 4 trials"):
        plan_relocation(run, "rich", theirs, url)
    assert_unchanged(run)


def test_storage_without_the_study_changes_nothing(run: RunFolder, url: str) -> None:
    relocate(run, open_storage(url), url)
    assert_unchanged(run)


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_own_database_by_its_url_stays(
    scheme: str, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path)
    for text in (f"{scheme}:///study.db", f"{scheme}:///{run.database}"):
        relocate(run, open_storage(sqlite_url(run.database)), text)
    assert_unchanged(run)


def test_database_that_holds_another_study_too_stays_in_its_place(
    run: RunFolder, shared: BaseStorage, url: str
) -> None:
    optuna.create_study(storage=open_storage(run.storage_url()), study_name="theirs")
    relocate(run, shared, url)
    assert run.storage_url() == url
    assert set(optuna.get_all_study_names(sqlite_url(run.database))) == {"rich", "theirs"}
