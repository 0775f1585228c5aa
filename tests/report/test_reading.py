"""Reading a study from its storage, and leaving a storage without it alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest
from filelock import FileLock
from trial_records import make_spec

from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.trial_record import FOLD_VALUES, LABEL, ROLE
from searchlab.report.reading import read_study


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "toy")
    folder.write(make_spec().to_data())
    return folder


def test_trials_come_back_with_their_attributes(run: RunFolder) -> None:
    storage = open_storage(run.storage_url())
    study = optuna.create_study(study_name="toy", storage=storage, direction="maximize")
    attrs = {ROLE: "baseline", LABEL: "a2/DT", FOLD_VALUES: [0.9, 0.8, 0.7]}
    study.add_trial(optuna.create_trial(value=0.9, user_attrs=attrs))
    study.ask()
    reading = read_study(run, None)
    assert [record.state for record in reading.records] == ["COMPLETE", "RUNNING"]
    assert reading.records[0].fold_values == (0.9, 0.8, 0.7)
    assert reading.records[1].role == "search"
    assert not reading.is_driven
    with FileLock(run.lock_file):
        assert read_study(run, None).is_driven
    assert not read_study(run, None).is_driven


def test_a_missing_database_is_not_created(run: RunFolder) -> None:
    with pytest.raises(InputError, match="holds no study named toy"):
        read_study(run, None)
    assert not run.database.exists()


def test_a_database_without_studies_gets_no_tables(run: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(InputError, match="holds no study named toy"):
        read_study(run, sqlite_url(path))
    assert path.read_bytes() == before


def test_a_storage_of_other_studies_stays_as_it_is(run: RunFolder, tmp_path: Path) -> None:
    storage = open_storage(sqlite_url(tmp_path / "other.db"))
    optuna.create_study(study_name="another", storage=storage)
    with pytest.raises(InputError, match="holds no study named toy"):
        read_study(run, sqlite_url(tmp_path / "other.db"))
    assert optuna.get_all_study_names(storage) == ["another"]


@pytest.mark.parametrize("url", ["no url", "nosuch://user:secret@host/name"])
def test_an_unusable_storage_is_bad_input_without_its_password(run: RunFolder, url: str) -> None:
    with pytest.raises(InputError, match=r"cannot be reached|is not a URL") as caught:
        read_study(run, url)
    assert "secret" not in str(caught.value)
