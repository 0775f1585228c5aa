"""``searchlab storage copy``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pytest
from toy_runs import invoke, make_toy

from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage, sqlite_url

if TYPE_CHECKING:
    from postgres_servers import PostgresServer


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("SEARCHLAB_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("SEARCHLAB_STORAGE", raising=False)
    return make_toy(tmp_path / "runs")


def count_trials(url: str) -> int:
    return len(optuna.load_study(study_name="toy", storage=open_storage(url)).trials)


@pytest.mark.parametrize("kind", ["name", "folder", "file", "url"])
def test_copy_takes_runs_files_and_urls(kind: str, run: RunFolder, tmp_path: Path) -> None:
    source = {
        "name": "toy",
        "folder": run.path,
        "file": run.database,
        "url": sqlite_url(run.database),
    }[kind]
    result = invoke("storage", "copy", source, tmp_path / "copy.db")
    assert "Copied toy: 3 trials (2 COMPLETE, 1 RUNNING)" in result.stdout
    assert ("study resume" in result.stdout) == (kind in ("name", "folder"))
    assert count_trials(sqlite_url(tmp_path / "copy.db")) == 3


def test_copy_takes_all_studies_or_one(run: RunFolder, tmp_path: Path) -> None:
    other = open_storage(sqlite_url(run.database))
    optuna.create_study(storage=other, study_name="second")
    result = invoke("storage", "copy", run.database, tmp_path / "a.db", "--json")
    assert json.loads(result.stdout) == {
        "to": sqlite_url(tmp_path / "a.db"),
        "studies": [
            {"study": "toy", "trials": 3, "states": {"COMPLETE": 2, "RUNNING": 1}},
            {"study": "second", "trials": 0, "states": {}},
        ],
    }
    invoke("storage", "copy", run.database, tmp_path / "b.db", "--study", "second")
    assert optuna.get_all_study_names(sqlite_url(tmp_path / "b.db")) == ["second"]


def test_copy_refuses_a_study_in_the_way_before_it_copies_any(
    run: RunFolder, tmp_path: Path
) -> None:
    source = open_storage(sqlite_url(run.database))
    optuna.create_study(storage=source, study_name="second")
    invoke("storage", "copy", run.database, tmp_path / "a.db", "--study", "second")
    target = open_storage(sqlite_url(tmp_path / "a.db"))
    optuna.load_study(storage=target, study_name="second").set_user_attr("a", 1)
    refused = invoke("storage", "copy", run.database, tmp_path / "a.db", fails=True)
    assert refused.exit_code == 2
    assert "study named second already" in str(refused.exception)
    assert optuna.get_all_study_names(sqlite_url(tmp_path / "a.db")) == ["second"]


def test_copy_again_brings_the_copy_up_to_date(run: RunFolder, tmp_path: Path) -> None:
    invoke("storage", "copy", "toy", tmp_path / "a.db")
    optuna.load_study(study_name="toy", storage=open_storage(sqlite_url(run.database))).ask()
    for _ in range(2):
        result = invoke("storage", "copy", "toy", tmp_path / "a.db")
        assert "Copied toy: 4 trials" in result.stdout
        assert count_trials(sqlite_url(tmp_path / "a.db")) == 4


@pytest.mark.parametrize("places", [["toy", "grpc://host:1"], ["grpc://host:1", "a.db"]])
def test_copy_refuses_what_is_no_database(places: list[str], run: RunFolder) -> None:
    refused = invoke("storage", "copy", *places, fails=True)
    assert refused.exit_code == 2
    assert "cannot be reached" in str(refused.exception)


def test_copy_from_nothing_makes_nothing(run: RunFolder, tmp_path: Path) -> None:
    for source in (tmp_path / "none.db", "toyy"):
        refused = invoke("storage", "copy", source, tmp_path / "a.db", fails=True)
        assert refused.exit_code == 2
    refused = invoke("storage", "copy", "toy", tmp_path / "a.db", "--study", "x", fails=True)
    assert "holds no study named x" in str(refused.exception)
    assert not (tmp_path / "none.db").exists()


# Storages whose password is not kept

_NOTED = "postgresql+psycopg://me:***@host/db"
_GIVEN = "postgresql+psycopg://me:Geheim@host/db"


@pytest.mark.parametrize("given", ["", "postgresql://you:Geheim@host/db", "sqlite:///a.db"])
def test_missing_password_is_asked_for_where_it_is_taken(
    given: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.note_storage(_GIVEN)
    monkeypatch.setenv("SEARCHLAB_STORAGE", given)
    refused = invoke("storage", "copy", "toy", tmp_path / "a.db", fails=True)
    assert refused.exit_code == 2
    message = str(refused.exception)
    assert _NOTED in message
    assert "--storage" not in message, "the command has none"
    assert "Set SEARCHLAB_STORAGE to that URL with its password" in message
    assert "Geheim" not in message


@pytest.mark.parametrize("given", [_GIVEN, "postgresql://me:Geheim@host/db"])
def test_password_is_taken_from_the_environment(
    given: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.note_storage(_GIVEN)
    monkeypatch.setenv("SEARCHLAB_STORAGE", given)
    opened: list[str] = []

    def refuse(url: str) -> None:
        opened.append(url)
        raise InputError("cannot be reached")

    monkeypatch.setattr("searchlab.records.storage.opening.open_storage", refuse)
    invoke("storage", "copy", "toy", tmp_path / "a.db", fails=True)
    assert opened == [given]


@pytest.mark.postgres
def test_run_is_copied_from_a_database_with_a_password(
    run: RunFolder, tmp_path: Path, postgres_url: str, postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    invoke("storage", "copy", "toy", postgres_url)
    name = postgres_url.partition("@/")[2].partition("?")[0]
    url = postgres.database_url(name, tcp=True)
    run.note_storage(url)
    monkeypatch.setenv("SEARCHLAB_STORAGE", url)
    invoke("storage", "copy", "toy", tmp_path / "a.db")
    assert count_trials(sqlite_url(tmp_path / "a.db")) == 3
