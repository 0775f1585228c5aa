"""What a driver is called, and what it may ask of the lock that it holds on its study."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

__all__ = ["LockTimes", "SoleDriver", "StudyLock", "new_driver_id"]

_MAX_HOST_CHARACTERS = 40


def new_driver_id() -> str:
    """Return ``<host>-<pid>-<8 hex>``, a slug, another one for each run of a driver."""
    host = re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname())[:_MAX_HOST_CHARACTERS].strip("-")
    return f"{host or 'host'}-{os.getpid()}-{secrets.token_hex(4)}"


class StudyLock(Protocol):
    """What a driver holds on its study while it runs."""

    @property
    def driver(self) -> str:
        """The driver that holds the lock."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other drivers may run the study too."""
        ...

    def deciding(self) -> AbstractContextManager[None]:
        """Keep the other drivers from deciding what runs next; a shared lock waits for them.

        Raises InfrastructureError if they take too long. In the block, making, claiming and taking
        over trials raises StaleTokenError once another driver decides; a new block may follow.
        """
        ...

    def is_alive(self, driver: str) -> bool:
        """Return whether a driver of this study still runs; if in doubt, it does."""
        ...

    def check(self) -> None:
        """Raise InfrastructureError once another driver has taken the study over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTimes:
    """The times of a lock, in seconds. The defaults are for studies, shorter ones for tests."""

    acquire: float = 2.0
    """How long a new driver tries; `study status` takes a lock for an instant."""
    ping: float = 2.0
    """Between two looks at the lock, by which its loss is noticed."""
    settle: float = 5.0
    """After a reconnection, until every other driver has its locks back too."""
    grace: float = 15.0
    """How long another driver's lock must be free before that driver counts as gone."""
    decide: float = 150.0
    """How long to wait until other drivers have decided: longer than a storage call is retried in
    an outage, because another driver's decision may take as long."""


class SoleDriver:
    """The lock of a driver that is alone with its study, because another lock keeps others out."""

    def __init__(self, driver: str | None = None) -> None:
        self.driver = driver or new_driver_id()

    @property
    def shared(self) -> bool:
        """No other driver runs the study."""
        return False

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Nobody else decides."""
        yield

    def is_alive(self, driver: str) -> bool:
        """Return whether it is this driver: whoever held the study before is gone."""
        return driver == self.driver

    def check(self) -> None:
        """A lock of files is never lost."""
