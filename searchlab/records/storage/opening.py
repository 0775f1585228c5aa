"""Opening the database that records a study: SQLite in its run folder, or the one of a URL."""

from __future__ import annotations

import importlib.util
import sqlite3
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.errors import InfrastructureError, InputError
from searchlab.records.storage.urls import (
    find_sqlite_file,
    hide_password,
    is_postgres,
    normalise,
    scrub,
)

if TYPE_CHECKING:
    from searchlab.records.storage.idempotent_storage import IdempotentStorage
    from searchlab.records.storage.retrying_storage import RetryingStorage

__all__ = ["POSTGRES_OPTIONS", "open_storage", "postgres_options", "sqlite_url"]

# How long a writer waits for another's transaction before giving up.
_BUSY_TIMEOUT_SECONDS = 60.0
# A wrong address is bad input, so it is not retried as an outage is.
_CONNECT_TIMEOUT_SECONDS = 8
# libpq's options. A server that vanished without a word is noticed within 30 s: by keepalives
# while the client waits for an answer, by the last option while data sent is not acknowledged.
POSTGRES_OPTIONS = {
    "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30000,
}

_REMEDY = "Give a URL such as sqlite:///file.db or postgresql://user@host/name"

# PostgreSQL's codes for what another driver made between our check and our own attempt: a table,
# an object, a unique key.
_MADE_MEANWHILE = ("42P07", "42710", "23505")
_MAX_TRIES = 6
_BETWEEN_TRIES_SECONDS = 0.5


def sqlite_url(path: Path) -> str:
    """Return the storage URL of an SQLite file."""
    return f"sqlite:///{path}"


def open_storage(
    url: str, *, driver: str | None = None, retry_seconds: float = 120.0
) -> RetryingStorage:
    """Open a database, creating its tables if it has none; its later outages are retried.

    ``postgresql://`` means psycopg 3. ``driver`` marks the trials created through this storage, a
    fresh id by default.

    Raises InputError if the storage cannot be reached, InfrastructureError if its disk fails; no
    message holds the password.
    """
    from optuna.storages import get_storage

    from searchlab.records.storage.retrying_storage import RetryingStorage

    if "://" not in url:
        raise InputError("is not a URL", where=f"--storage {hide_password(url)}", remedy=_REMEDY)
    _check_installed(url)
    database = _open(url)
    return RetryingStorage(
        get_storage(database),  # with Optuna's cache over it: finished trials are read once
        database=database,
        url=url,
        driver=driver,
        retry_seconds=retry_seconds,
    )


def _check_installed(url: str) -> None:
    is_psycopg = normalise(url).startswith("postgresql+psycopg://")
    if is_psycopg and importlib.util.find_spec("psycopg") is None:
        raise InputError(
            "needs the package psycopg, which is not installed",
            where=f"--storage {hide_password(url)}",
            remedy="Run: pip install 'searchlab[postgres]'",
        )


def _open(url: str) -> IdempotentStorage:
    from searchlab.records.storage.faults import STORAGE_ERRORS, describe_cause

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)
        try:
            return _connect(url)
        except (sqlite3.Error, OSError, ValueError, RuntimeError, ImportError) as error:
            reason = str(error)
        except STORAGE_ERRORS as error:
            reason = describe_cause(error)
            if _is_disk_fault(error):
                raise InfrastructureError(
                    f"Storage {hide_password(url)} cannot be used: {scrub(reason, url)}. Fix it, "
                    "then resume the study"
                ) from None
    reason = (scrub(reason, url).strip() or "no answer").splitlines()[0]
    where = f"--storage {hide_password(url)}"
    raise InputError(f"cannot be reached: {reason}", where=where, remedy=_REMEDY)


def _connect(url: str) -> IdempotentStorage:
    """Open a database; try again if another driver makes its tables at the same moment."""
    from sqlalchemy.exc import DBAPIError, IntegrityError

    from searchlab.records.storage.idempotent_storage import IdempotentStorage

    num_tries = 0
    while True:
        num_tries += 1
        try:
            return IdempotentStorage(normalise(url), engine_options=_engine_options(url))
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            is_made = state in _MADE_MEANWHILE or "already exists" in str(error.orig)
            is_made = is_made or isinstance(error, IntegrityError)  # SQLite: a row
            if not is_made or num_tries == _MAX_TRIES:
                raise
            time.sleep(_BETWEEN_TRIES_SECONDS)


def _is_disk_fault(error: Exception) -> bool:
    driver_error = getattr(error, "orig", None)
    if isinstance(driver_error, sqlite3.Error):
        code = getattr(driver_error, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return getattr(driver_error, "sqlstate", None) == "53100"


def _engine_options(url: str) -> dict[str, Any]:
    if is_postgres(url):
        return {"pool_pre_ping": True, "connect_args": postgres_options(normalise(url))}
    path = find_sqlite_file(url)
    if path is None:
        return {"pool_pre_ping": True}

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, check_same_thread=False)
        # WAL with NORMAL survives a killed writer and doubles the rate of commits.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    return {"creator": connect}


def postgres_options(url: str, *, application: str = "searchlab") -> dict[str, Any]:
    """Return the options for libpq that a normalised URL leaves open; none for another client."""
    from sqlalchemy import make_url

    address = make_url(url)
    if address.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    options = {**POSTGRES_OPTIONS, "application_name": application[:63]}
    return {name: value for name, value in options.items() if name not in address.query}
