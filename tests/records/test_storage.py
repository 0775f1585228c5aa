"""Storage URLs: passwords are shown nowhere, what can't be reached is bad input."""

from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pytest

from searchlab.errors import InputError
from searchlab.records.storage import opening as storage
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.storage.urls import (
    hide_password,
    hide_passwords,
    normalise,
    scrub,
    take_password_from_environment,
)

if TYPE_CHECKING:
    from postgres_servers import PostgresServer


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
        ("postgres://user:p@ss@host", "postgres://user:***@host"),
        ("postgresql://me@firm:geheim@db/x", "postgresql://me@firm:***@db/x"),
        ("postgresql://me:ge heim@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me:ge%2Fheim@db/x", "postgresql://me:***@db/x"),
        ("postgresql://db/x?sslpassword=ge#h&a=b", "postgresql://db/x?sslpassword=***&a=b"),
        ("postgresql+psycopg://me:geheim@[::1]:5432/x", "postgresql+psycopg://me:***@[::1]:5432/x"),
        ("sqlite+pysqlcipher://:geheim@/x.db", "sqlite+pysqlcipher://:***@/x.db"),
        ("sqlite:////a:b@c/x.db?timeout=5", "sqlite:////a:b@c/x.db?timeout=5"),
        ("postgresql://a:1,b:2/x?sslmode=require", "postgresql://a:1,b:2/x?sslmode=require"),
        # parameters that are passwords, tokens, or hold one
        (
            "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dgeheim",
            "mssql+pyodbc:///?odbc_connect=***",
        ),
        ("mssql+pyodbc:///?dsn=UID%253Dme%253BPWD%253Dgeheim", "mssql+pyodbc:///?dsn=***"),
        ("postgresql://db/x?token=geheim&a=b", "postgresql://db/x?token=***&a=b"),
        ("postgresql://db/x?pass%77ord=geheim", "postgresql://db/x?pass%77ord=***"),
        ("sqlite:///x.db?password=geheim", "sqlite:///x.db?password=***"),
        ("postgresql://db/x?a=me:geheim@db", "postgresql://db/x?a=***"),
        ("postgresql://db/x?a=b#geheim", "postgresql://db/x?a=***"),
        ("postgresql://db/x?password=ge&heim", "postgresql://db/x?password=***&***"),
        ("postgresql://db/x?sslkey=/me.key", "postgresql://db/x?sslkey=/me.key"),
        # a password in the place of something else
        ("postgresql://me%3Ageheim@db/x", "postgresql://***@db/x"),
        ("postgresql://me%253Ageheim@db/x", "postgresql://***@db/x"),
        ("postgresql:///me:geheim@db/x", "postgresql://***:***@db/x"),
        ("postgresql://me;PWD=geheim@db/x", "postgresql://***@db/x"),
        ("postgresql://me:geheim", "postgresql://***"),
        ("postgresql://me%3Ageheim%40db/x", "postgresql://***"),
        ("postgresql://me:ge?heim=x@db/x", "postgresql://***"),
        ("sqlite://me:geheim@db/x", "sqlite://***"),
        # what is no URL
        ("postgresql:me:geheim@db", "postgresql:***"),
        ("postgresql:/me:geheim@db", "postgresql:***"),
        ("postgresql//me:geheim@db", "postgresql//***"),
        ("me:geheim@db/x", "***"),
        ("host=db password=geheim dbname=x", "***"),
        ("Server=db;UID=me;PWD=geheim", "***"),
        ("geheim", "***"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown
    assert hide_password(shown) == shown, "a URL that was noted is shown as it is"
    in_text = hide_passwords(f"error: cannot use '{url}', sorry")
    assert "heim" not in in_text or url == "geheim"
    assert in_text.startswith("error: cannot use '")
    assert in_text.endswith("', sorry")


@pytest.mark.parametrize(
    "text",
    [
        "studies/a.yaml:3: search.trials must be > 0, got -1",
        "sqlite:///runs/a b/study.db holds no study named a@b",
        "see https://example.org/a/b.html, and write to me@example.org",
        "at 12:30:00 rank 3/4 failed: a1@host",
    ],
)
def test_text_without_passwords_stays_as_it_is(text: str) -> None:
    assert hide_passwords(text) == text


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://me:geheim@db/x", "no user me with geheim"),
        ("postgresql://me:g%40h%2Fm@db/x", "no user me with 'g@h/m', g%40h%2Fm"),
        ("postgresql://me:g@heim@db/x", "failed to resolve host 'heim@db'"),
        ("postgresql://db/x?password=gehe+im", "bad gehe im or gehe%20im"),
        ("postgresql://db/x?password=geheim", "dsn: host=db password='geheim' user=me"),
        ("sqlite:///x.db", "dsn: postgresql://me:geheim@db and password=geheim"),
    ],
)
def test_passwords_are_taken_out_of_messages(url: str, text: str) -> None:
    shown = scrub(text, url)
    assert "***" in shown
    for part in ("heim", "g@h", "g%40h", "gehe"):
        assert part not in shown


@pytest.mark.parametrize(
    "url", ["postgresql://me:geheim", "me:geheim@db", "host=db password=geheim"]
)
def test_reason_is_not_shown_if_it_is_unclear_what_is_secret(url: str) -> None:
    assert "heim" not in scrub("invalid port 'geheim'", url)


def test_short_password_is_taken_out_of_a_message_as_a_word() -> None:
    assert scrub("user me: password 'e' failed", "postgresql://me:e@db/x") == (
        "user me: password '***' failed"
    )


def test_messages_of_urls_without_password_stay_as_they_are() -> None:
    text = "connection to server at db, port 5432 failed"
    assert scrub(text, "postgresql://me@db:5432/x") == text


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("postgres://me@db/x", "postgresql+psycopg://me@db/x"),
        ("postgresql://db/x", "postgresql+psycopg://db/x"),
        ("postgresql+psycopg2://db/x", "postgresql+psycopg2://db/x"),
        ("postgresql://me:p@ss@db/x", "postgresql+psycopg://me:p%40ss@db/x"),
        ("postgresql://me:g/h@im@db/x?a=b@c", "postgresql+psycopg://me:g%2Fh%40im@db/x?a=b@c"),
        ("postgresql://me:g%40h@db/x@y", "postgresql+psycopg://me:g%40h@db/x@y"),
        ("sqlite:////a:b@c/x.db", "sqlite:////a:b@c/x.db"),
        ("mysql+pymysql://me:geheim@db/x", "mysql+pymysql://me:geheim@db/x"),
    ],
)
def test_urls_are_made_uniform(url: str, plain: str) -> None:
    assert normalise(url) == plain


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("postgresql://me@db/x", "postgresql://me:p%40s%2Fs@db/x"),
        ("postgres://me@db:1/x?a=b", "postgres://me:p%40s%2Fs@db:1/x?a=b"),
        ("postgresql+psycopg:///x?host=/run", "postgresql+psycopg://:p%40s%2Fs@/x?host=/run"),
        ("postgresql://db/x", "postgresql://:p%40s%2Fs@db/x"),
        ("postgresql://me:own@db/x", "postgresql://me:own@db/x"),
        ("postgresql://db/x?password=own", "postgresql://db/x?password=own"),
        ("sqlite:///x.db", "sqlite:///x.db"),
    ],
)
def test_password_of_the_environment_is_put_in(
    url: str, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    assert take_password_from_environment(url) == url
    monkeypatch.setenv("PGPASSWORD", "p@s/s")
    assert take_password_from_environment(url) == whole


@pytest.mark.postgres
def test_postgresql_takes_the_password_from_the_environment(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgres://postgres@127.0.0.1:{postgres.port}/postgres"
    with pytest.raises(InputError, match="password"):
        open_storage(url)
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    whole = take_password_from_environment(url)
    monkeypatch.delenv("PGPASSWORD")
    open_storage(whole).close()
    raw = f"postgres://postgres:{postgres.password}@127.0.0.1:{postgres.port}/postgres"
    open_storage(raw).close()


@pytest.mark.parametrize("url", ["postgresql://db/x", "postgres://db/x"])
def test_missing_package_is_named_with_its_extra(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the package psycopg.*searchlab\[postgres\]"):
        open_storage(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:geheim@127.0.0.1:9/x",
        "postgresql://me:ge/heim@127.0.0.1:9/x",
        "mysql+nodriver://me:geheim@127.0.0.1:9/x",
        "grpc://me:geheim@127.0.0.1:9",
        "postgresql+psycopg://127.0.0.1:9/x?user=me&password=geheim",
        "postgresql://me:geheim",
        "sqlite:////nonexistent/folder/geheim.db",
    ],
)
def test_a_storage_that_cannot_be_reached_is_bad_input_without_the_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_CONNECT_TIMEOUT_SECONDS", 1)
    with pytest.raises(InputError, match="cannot be reached") as error:
        open_storage(url)
    if not url.startswith("sqlite"):
        assert "heim" not in str(error.value)
    assert "--storage" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("url", ["postgresql:me:geheim@db", "geheim", "host=db password=geheim"])
def test_what_is_no_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InputError, match=r"^--storage \S*\*\*\* is not a URL. Give a URL") as error:
        open_storage(url)
    assert "heim" not in str(error.value)


@pytest.mark.parametrize("url", ["sqlite:///{}", "sqlite+pysqlite:///{}", "sqlite:///{}?timeout=5"])
def test_an_sqlite_file_has_a_write_ahead_log(url: str, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    optuna.create_study(storage=open_storage(url.format(path)), study_name="x").ask()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_no_database_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_text("not a database, and long enough to be seen as none" * 40)
    with pytest.raises(InputError, match="cannot be reached"):
        open_storage(sqlite_url(path))
    assert path.read_text().startswith("not a database")
