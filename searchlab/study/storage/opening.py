"""Where a study is recorded: SQLite in its run folder, or any Optuna storage URL."""

from __future__ import annotations

import importlib.util
import sqlite3
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from searchlab.errors import InfrastructureError, InputError
from searchlab.study.storage.grpc_settings import prepare_grpc
from searchlab.study.storage.urls import (
    find_sqlite_file,
    hide_password,
    is_postgres,
    normalise,
    scrub,
    take_password_from_environment,
)

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from searchlab.study.storage.record_storage import RecordStorage
    from searchlab.study.storage.retrying_storage import RetryingStorage

__all__ = [
    "hide_password",
    "open_storage",
    "scrub",
    "sqlite_url",
    "take_password_from_environment",
]

# How long a writer waits for another's transaction before giving up.
_BUSY_TIMEOUT_SECONDS = 60.0
# A wrong address is bad input, so it is not waited for as an outage is.
_CONNECT_TIMEOUT_SECONDS = 8
# libpq's options. A server that vanished without a word is noticed within 30 s: by keepalives
# while an answer is awaited, by the last one while something sent is not acknowledged.
_POSTGRES_OPTIONS = {
    "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30000,
    "application_name": "searchlab",
}


# PostgreSQL's codes for what another driver made between our look and our making it: a table, an
# object, a unique key.
_MADE_MEANWHILE = ("42P07", "42710", "23505")
_MAX_RIVALS = 5
_RIVAL_SECONDS = 0.5


def sqlite_url(path: Path) -> str:
    """Return the storage URL of an SQLite file."""
    return f"sqlite:///{path}"


def open_storage(
    url: str, *, driver: str | None = None, patience_seconds: float = 120.0
) -> RetryingStorage:
    """Open a storage, creating its tables where there are none; outages are then waited for.

    Takes ``grpc://host:port``, a proxy that runs, and database URLs; ``postgresql://`` means
    psycopg 3. ``driver`` marks the trials that are created by it, a fresh id by default.

    Raises InputError where it cannot be reached, InfrastructureError where its disk fails; no
    message holds the password.
    """
    from searchlab.study.storage.retrying_storage import RetryingStorage

    _require_driver(url)
    return RetryingStorage(_open(url), url=url, driver=driver, patience_seconds=patience_seconds)


def _require_driver(url: str) -> None:
    needed = {"postgresql+psycopg": "psycopg", "grpc": "grpc"}.get(normalise(url).split("://")[0])
    if needed is None or importlib.util.find_spec(needed) is not None:
        return
    extra = "postgres" if needed == "psycopg" else needed
    raise InputError(
        f"needs the package {needed}, which is not installed",
        where=f"--storage {hide_password(url)}",
        remedy=f"Run: pip install 'searchlab[{extra}]'",
    )


def _open(url: str) -> BaseStorage:
    from searchlab.study.storage.faults import describe_cause, failure_types

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)
        try:
            return _connect(url)
        except (sqlite3.Error, OSError, ValueError, RuntimeError, ImportError) as error:
            reason = str(error)
        except failure_types() as error:
            reason = describe_cause(error)
            if _is_disk_fault(error):
                raise InfrastructureError(
                    f"storage {hide_password(url)} cannot be used: {scrub(reason, url)}. "
                    "Mend it, then resume the study"
                ) from None
    reason = (scrub(reason, url).strip() or "no answer").splitlines()[0]
    raise InputError(
        f"cannot be reached: {reason}",
        where=f"--storage {hide_password(url)}",
        remedy="Give a URL such as sqlite:///file.db, postgresql://user@host/name or "
        "grpc://host:port",
    )


def _connect(url: str) -> BaseStorage:
    if url.startswith("grpc://"):
        prepare_grpc()
        from searchlab.study.storage.proxy import connect_proxy

        return connect_proxy(url, timeout_seconds=_CONNECT_TIMEOUT_SECONDS)
    from optuna.storages import get_storage

    # With Optuna's cache over it: finished trials are read once.
    return get_storage(_connect_database(url))


def _connect_database(url: str) -> RecordStorage:
    """Open a database; one whose tables another driver makes at the same moment is opened again."""
    from sqlalchemy.exc import DBAPIError

    from searchlab.study.storage.record_storage import RecordStorage

    for _ in range(_MAX_RIVALS):
        try:
            return RecordStorage(normalise(url), engine_options=_engine_options(url))
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state not in _MADE_MEANWHILE and "already exists" not in str(error.orig):
                raise
            time.sleep(_RIVAL_SECONDS)
    return RecordStorage(normalise(url), engine_options=_engine_options(url))


def _is_disk_fault(error: Exception) -> bool:
    driver_error = getattr(error, "orig", None)
    if isinstance(driver_error, sqlite3.Error):
        code = getattr(driver_error, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return getattr(driver_error, "sqlstate", None) == "53100"


def _engine_options(url: str) -> dict[str, Any]:
    if is_postgres(url):
        return _postgres_options(normalise(url))
    path = find_sqlite_file(url)
    if path is None:
        return {"pool_pre_ping": True}

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, check_same_thread=False)
        # WAL with NORMAL survives a killed writer and doubles the rate of commits (DESIGN 3).
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    return {"creator": connect}


def _postgres_options(url: str) -> dict[str, Any]:
    if not url.startswith("postgresql+psycopg://"):
        return {"pool_pre_ping": True}
    given = parse_qs(urlsplit(url).query)
    options = {name: value for name, value in _POSTGRES_OPTIONS.items() if name not in given}
    return {"pool_pre_ping": True, "connect_args": options}
