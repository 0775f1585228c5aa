"""Databases of tests don't wait for the disk at every commit."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage

__all__ = ["sync_never"]


def sync_never(storage: RDBStorage) -> None:
    """Let an SQLite storage's later connections not wait for the disk."""

    def configure(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=WAL")

    sqlalchemy.event.listen(storage.engine, "connect", configure)
    storage.engine.dispose()  # those that are open already
