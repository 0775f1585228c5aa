"""Storage URLs: passwords are shown nowhere, what can't be reached is bad input."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest

from searchlab.errors import InputError
from searchlab.study.storage import hide_password, open_storage, sqlite_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:geheim@db:5432/x", "postgresql+psycopg://me:***@db:5432/x"),
        ("postgresql://me:ge/he@im@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me:a:b@db/x", "postgresql://me:***@db/x"),
        ("postgresql://:geheim@db/x", "postgresql://:***@db/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("sqlite:///runs/a/study.db", "sqlite:///runs/a/study.db"),
        ("postgresql://db/x?user=me&password=geheim", "postgresql://db/x?user=me&password=***"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:geheim@127.0.0.1:9/x",
        "postgresql://me:ge/heim@127.0.0.1:9/x",
        "mysql+nodriver://me:geheim@127.0.0.1:9/x",
        "postgresql+psycopg://127.0.0.1:9/x?user=me&password=geheim",
        "nonsense geheim",
        "sqlite:////nonexistent/folder/geheim.db",
    ],
)
def test_a_storage_that_cannot_be_reached_is_bad_input_without_the_password(url: str) -> None:
    with pytest.raises(InputError, match="cannot be reached") as error:
        open_storage(url)
    if ":geheim@" in url or "password=" in url or "ge/heim" in url:
        assert "heim" not in str(error.value)
    assert "--storage" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_the_embedded_storage_is_sqlite_with_a_write_ahead_log(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    storage = open_storage(sqlite_url(path))
    optuna.create_study(storage=storage, study_name="x").ask()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_no_database_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_text("not a database, and long enough to be seen as none" * 40)
    with pytest.raises(InputError, match="cannot be reached"):
        open_storage(sqlite_url(path))
    assert path.read_text().startswith("not a database")
