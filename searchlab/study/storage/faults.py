"""What a failed storage call means: wait and try again, or stop at once."""

from __future__ import annotations

import enum
import re
import sqlite3
import sys
from collections.abc import Iterator

import sqlalchemy.exc
from optuna.exceptions import StorageInternalError

__all__ = ["Fault", "classify", "describe_cause", "failure_types"]


class Fault(enum.Enum):
    """The two ways in which a storage fails that are no bug of the caller's."""

    OUTAGE = "passes, so the call is worth another try"
    BROKEN = "stays until somebody mends it"


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
# A refused connection has no SQLSTATE, and a proxy hands on no more than the text.
_BROKEN_TEXT = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|access denied"
    r'|(?:role|database|relation) "[^"]*" does not exist|no such table|permission denied'
    r"|no space left|disk is full|disk quota|read-?only (?:database|file system|transaction)"
    r"|disk I/O error|malformed|file is not a database|unable to open database file",
    re.IGNORECASE,
)
_OUTAGE_TEXT = re.compile(
    r"OperationalError|InterfaceError|exception is raised during the commit|is locked|was away for"
    r"|stream removed|RST_STREAM|socket closed|connection reset",
    re.IGNORECASE,
)
_RPC_OUTAGES = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED"}
_RPC_BROKEN = {"UNIMPLEMENTED", "UNAUTHENTICATED", "PERMISSION_DENIED"}


def failure_types() -> tuple[type[Exception], ...]:
    """Return the exceptions by which storages fail; gRPC's only where it is in use."""
    found: list[type[Exception]] = [StorageInternalError, sqlalchemy.exc.SQLAlchemyError]
    # Not imported here: it costs a quarter of a second, and most studies don't need it.
    grpc = sys.modules.get("grpc")
    if grpc is not None:
        found.append(grpc.RpcError)
    return tuple(found)


def classify(error: BaseException) -> Fault | None:
    """Return what a failed call means, None for a bug or a wrong argument."""
    for cause in _causes(error):
        fault = _judge(cause)
        if fault is not None:
            return fault
    return None


def describe_cause(error: BaseException) -> str:
    """Return the innermost reason in one line, without the statement that met it."""
    cause = list(_causes(error))[-1]
    reason = getattr(cause, "orig", None) or cause
    details = getattr(reason, "details", None)
    text = str(details() if callable(details) else reason).strip()
    return text.splitlines()[0] if text else type(reason).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None and isinstance(cause, failure_types()):
        yield cause
        cause = cause.__cause__


def _judge(error: BaseException) -> Fault | None:
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return _judge_driver(error)
    # What a session or a pool says after its connection went away under it.
    if isinstance(error, sqlalchemy.exc.PendingRollbackError | sqlalchemy.exc.TimeoutError):
        return Fault.OUTAGE
    if hasattr(error, "code") and callable(error.code):
        return _judge_rpc(error.code().name, describe_cause(error))
    return None


def _judge_driver(error: sqlalchemy.exc.DBAPIError) -> Fault | None:
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


def _judge_rpc(code: str, details: str) -> Fault | None:
    if code in _RPC_OUTAGES:
        return Fault.OUTAGE
    if code in _RPC_BROKEN:
        return Fault.BROKEN
    # The proxy's own storage failed: all that comes through is UNKNOWN and the text.
    if _BROKEN_TEXT.search(details):
        return Fault.BROKEN
    return Fault.OUTAGE if _OUTAGE_TEXT.search(details) else None
