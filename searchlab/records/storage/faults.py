"""What a failed storage call means: try again, or stop at once."""

from __future__ import annotations

import enum
import re
import sqlite3
from collections.abc import Iterator

import sqlalchemy.exc
from optuna.exceptions import StorageInternalError

__all__ = ["STORAGE_ERRORS", "Fault", "classify", "describe_cause"]

STORAGE_ERRORS = (StorageInternalError, sqlalchemy.exc.SQLAlchemyError)
"""The exceptions by which a storage fails."""


class Fault(enum.Enum):
    """The two ways in which a storage fails that are no bug of the caller."""

    OUTAGE = "passes, so the call is worth another try"
    BROKEN = "stays until somebody fixes it"


_SQLITE_FAULTS = {
    sqlite3.SQLITE_BUSY: Fault.OUTAGE,
    sqlite3.SQLITE_LOCKED: Fault.OUTAGE,
    sqlite3.SQLITE_PROTOCOL: Fault.OUTAGE,
    sqlite3.SQLITE_FULL: Fault.BROKEN,
    sqlite3.SQLITE_IOERR: Fault.BROKEN,
    sqlite3.SQLITE_READONLY: Fault.BROKEN,
    sqlite3.SQLITE_CANTOPEN: Fault.BROKEN,
    sqlite3.SQLITE_CORRUPT: Fault.BROKEN,
    sqlite3.SQLITE_NOTADB: Fault.BROKEN,
    sqlite3.SQLITE_PERM: Fault.BROKEN,
    sqlite3.SQLITE_AUTH: Fault.BROKEN,
}
# SQLSTATE, by the longest prefix. https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATE_FAULTS = {
    "08": Fault.OUTAGE,  # connection
    "25006": Fault.BROKEN,  # read-only
    "25P02": Fault.OUTAGE,  # in a failed transaction
    "28": Fault.BROKEN,  # authentication
    "3D000": Fault.BROKEN,  # no such database
    "3F000": Fault.BROKEN,  # no such schema
    "40": Fault.OUTAGE,  # serialization, deadlock
    "42501": Fault.BROKEN,  # privilege
    "42P01": Fault.BROKEN,  # no such table
    "42703": Fault.BROKEN,  # no such column
    "53": Fault.OUTAGE,  # too many connections, memory
    "53100": Fault.BROKEN,  # disk full
    "55P03": Fault.OUTAGE,  # lock not available
    "57": Fault.OUTAGE,  # shut down, starting up, cancelled
    "57P04": Fault.BROKEN,  # database dropped
    "58": Fault.BROKEN,  # input/output
    "XX001": Fault.BROKEN,  # corrupted data
    "XX002": Fault.BROKEN,
}
_MYSQL_BROKEN = {1021, 1044, 1045, 1049, 1114, 1146, 1290, 1698, 1836}
# A refused connection has no SQLSTATE.
_BROKEN_TEXT = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|access denied"
    r'|(?:role|database|relation) "[^"]*" does not exist|no such table|permission denied',
    re.IGNORECASE,
)


def classify(error: BaseException) -> Fault | None:
    """Return what a failed call means; None for a bug or a wrong argument."""
    for cause in _causes(error):
        fault = _classify_one(cause)
        if fault is not None:
            return fault
    return None


def describe_cause(error: BaseException) -> str:
    """Return the innermost reason in one line, without the statement that met it."""
    cause = list(_causes(error))[-1]
    reason = getattr(cause, "orig", None) or cause
    text = str(reason).strip()
    return text.splitlines()[0] if text else type(reason).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while isinstance(cause, STORAGE_ERRORS):
        yield cause
        cause = cause.__cause__


def _classify_one(error: BaseException) -> Fault | None:
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return _classify_driver_error(error)
    # What a session or a pool says after it lost its connection.
    if isinstance(error, sqlalchemy.exc.PendingRollbackError | sqlalchemy.exc.TimeoutError):
        return Fault.OUTAGE
    return None


def _classify_driver_error(error: sqlalchemy.exc.DBAPIError) -> Fault | None:
    driver_error = error.orig
    if isinstance(driver_error, sqlite3.Error):
        # The low byte is the primary code.
        code = getattr(driver_error, "sqlite_errorcode", 0) & 0xFF
        broken = Fault.BROKEN if "no such table" in str(driver_error) else None
        return _SQLITE_FAULTS.get(code, broken)
    sqlstate = getattr(driver_error, "sqlstate", None)
    if sqlstate:
        prefixes = (sqlstate[:length] for length in (5, 2))
        return next((_SQLSTATE_FAULTS[one] for one in prefixes if one in _SQLSTATE_FAULTS), None)
    if not (
        error.connection_invalidated
        or isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError)
    ):
        return None
    number = next(iter(getattr(driver_error, "args", ())), None)
    if number in _MYSQL_BROKEN or _BROKEN_TEXT.search(str(driver_error)):
        return Fault.BROKEN
    return Fault.OUTAGE
