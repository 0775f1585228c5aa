"""The lease of a driver that reaches its database directly, for those that come by a proxy to see.

Files and advisory locks decide between direct drivers. A driver behind a gRPC proxy sees neither
of them, and its own lease is all that they see of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.errors import InfrastructureError
from searchlab.study.locks.drivers import LockTimes, StudyLock
from searchlab.study.locks.lease import Lease, is_direct
from searchlab.study.storage.faults import failure_types

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["DirectLease", "LeasedLock"]

logger = logging.getLogger(__name__)


class DirectLease(Lease):
    """A lease beside the driver's own lock, which must be held from before it begins.

    Leases of other direct drivers are overwritten: they are dead, or joined, as this one is when
    ``shared``. ``is_locked`` says after the end whether another direct driver holds the study;
    without it none can. Nothing is done while ``database``, an SQLite file, is missing: opening it
    would make it.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        *,
        driver: str,
        times: LockTimes,
        url: str,
        database: Path | None = None,
        shared: bool = False,
        is_locked: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(storage, name, driver=driver, times=times, url=url)
        self._database = database
        self._is_shared = shared
        self._is_locked = is_locked

    def _write_and_look(self, study_id: int) -> bool:
        try:
            return super()._write_and_look(study_id)
        except _failure_types() as error:
            # A full disk must not keep a study from being deleted. Nobody else can write either.
            logger.warning("%s: no lease could be written: %s", self._where, self._say(error))
            return False

    def _find_study(self) -> int | None:
        if self._database is not None and not self._database.exists():
            return None
        return super()._find_study()

    def _own(self) -> dict[str, Any]:
        own = super()._own() | {"direct": True}
        if self._is_shared:  # any of several renews it, so no process stands for it
            del own["host"], own["pid"]
        return own

    def _is_anothers(self, found: dict[str, Any]) -> bool:
        return super()._is_anothers(found) and not is_direct(found)

    def _is_ours_to_end(self, found: dict[str, Any]) -> bool:
        if not is_direct(found) or not (self._is_shared or found.get("driver") == self.driver):
            return False
        return self._is_locked is None or not self._is_locked()


def _failure_types() -> tuple[type[Exception], ...]:
    """Return what a storage raises that cannot be written; KeyError once its study was deleted."""
    return (*failure_types(), InfrastructureError, KeyError)


class LeasedLock:
    """A driver's lock with its lease beside it: the study is lost with either."""

    def __init__(self, lock: StudyLock, lease: DirectLease) -> None:
        self._lock = lock
        self._lease = lease

    @property
    def driver(self) -> str:
        """Whose lock it is."""
        return self._lock.driver

    @property
    def shared(self) -> bool:
        """Whether other drivers may run the study too."""
        return self._lock.shared

    def deciding(self) -> AbstractContextManager[None]:
        """See StudyLock."""
        return self._lock.deciding()

    def is_alive(self, driver: str) -> bool:
        """See StudyLock."""
        return self._lock.is_alive(driver)

    def check(self) -> None:
        """Raise InfrastructureError once another driver has the study."""
        self._lock.check()
        self._lease.check()
