"""Databases of tests don't wait for the disk at every commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage

from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.storage.retrying_storage import RetryingStorage

__all__ = ["open_quickly", "sync_never"]


def sync_never(storage: RDBStorage) -> None:
    """Let an SQLite storage's later connections not wait for the disk."""

    def configure(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=WAL")

    sqlalchemy.event.listen(storage.engine, "connect", configure)
    storage.engine.dispose()  # those that are open already


@contextmanager
def open_quickly(path: Path) -> Iterator[RetryingStorage]:
    """Open an SQLite storage as a study has it, one that does not wait for the disk."""
    storage = open_storage(sqlite_url(path))
    sync_never(storage.database)
    yield storage
    storage.close()
