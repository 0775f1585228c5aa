"""Connections to PostgreSQL that hold advisory locks and see those of others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from searchlab.errors import InfrastructureError
from searchlab.records.storage.faults import describe_cause
from searchlab.records.storage.fencing import claim_token
from searchlab.records.storage.opening import POSTGRES_OPTIONS, postgres_options
from searchlab.records.storage.urls import hide_password, normalise, scrub

__all__ = ["AdvisorySession", "HeldLock", "is_lock_held", "lock_key", "make_engine"]

# Those of libpq's options that the server has too: it notices as soon as we do that the other's
# machine or network is gone.
_BOTH_SIDES = ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")

# The 64-bit key of an advisory lock is shown as two halves, which objsubid 1 says.
_LOOK = """
SELECT (classid::bigint << 32) | objid::bigint AS key, mode
FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_END_OTHERS = """
SELECT pg_terminate_backend(pid)
FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((classid::bigint << 32) | objid::bigint) = :key
"""


def lock_key(*words: str) -> int:
    """Return the signed 64-bit key of the lock named by ``words``, the same on every machine."""
    text = "\0".join(("searchlab", *words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLock:
    """An advisory lock that some session of this database holds."""

    key: int
    is_shared: bool


def make_engine(url: str, driver: str) -> sqlalchemy.Engine:
    """Return an engine whose every connection is new and commits each statement."""
    address = normalise(url)
    options = postgres_options(address, application=f"searchlab {driver}")
    return sqlalchemy.create_engine(
        address, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=options
    )


class AdvisorySession:
    """One session; its locks end with it. Each call raises SQLAlchemyError if the session broke."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._connection = engine.connect()
        try:
            for name in _BOTH_SIDES:
                setting = f"tcp_{name.removeprefix('tcp_')}"
                self._run(f"SET {setting} = {POSTGRES_OPTIONS[name]}")
        except SQLAlchemyError:
            self.close()
            raise

    def take(self, key: int, *, shared: bool = False) -> bool:
        """Take a lock if it is free; return whether this session holds it now."""
        kind = "_shared" if shared else ""
        statement = f"SELECT pg_try_advisory_lock{kind}(:key)"
        return bool(self._run(statement, key=key).scalar())

    def claim_token(self, name: str, token: str) -> int | None:
        """Make a token the study's latest; return its id, or None if there is no such study."""
        return claim_token(self._connection, name, token)

    def give_back(self, key: int) -> None:
        """Free a lock that was taken exclusively, if this session holds it."""
        self._run("SELECT pg_advisory_unlock(:key)", key=key)

    def give_all_back(self) -> None:
        """Free all locks at once; closing alone would free them a moment later."""
        self._run("SELECT pg_advisory_unlock_all()")

    def look(self) -> list[HeldLock]:
        """Return the advisory locks that are held in this database."""
        return [
            HeldLock(key=row.key, is_shared=row.mode == "ShareLock") for row in self._run(_LOOK)
        ]

    def end_others(self, key: int) -> None:
        """End the other sessions that hold a lock, as far as this user may."""
        self._run(_END_OTHERS, key=key)

    def close(self) -> None:
        """End the session, broken or not."""
        self._connection.invalidate()
        self._connection.close()

    def _run(self, statement: str, **values: int) -> sqlalchemy.CursorResult[Any]:
        return self._connection.execute(sqlalchemy.text(statement), values)


def is_lock_held(url: str, *words: str) -> bool:
    """Return whether anybody holds a lock. Raises InfrastructureError without a server."""
    engine = make_engine(url, "status")
    try:
        session = AdvisorySession(engine)
        held = session.look()
        session.close()
    except SQLAlchemyError as error:
        raise InfrastructureError(
            f"Storage {hide_password(url)} cannot be asked for locks: "
            f"{scrub(describe_cause(error), url)}"
        ) from None
    finally:
        engine.dispose()
    return any(lock.key == lock_key(*words) for lock in held)
