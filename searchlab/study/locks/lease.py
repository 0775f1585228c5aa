"""A lease on a study, for storages without locks: an attribute that its holder keeps renewing.

The times are those of the drivers' own clocks, so these must agree to within some seconds.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from searchlab.errors import InfrastructureError, InputError, SearchlabError
from searchlab.study.locks.drivers import LockTimes, SoleDriver
from searchlab.study.storages.faults import describe_cause, failure_types
from searchlab.study.storages.urls import hide_password, scrub

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["LEASE", "Lease", "hold_lease", "is_leased"]

logger = logging.getLogger(__name__)

LEASE = "searchlab:lease"
# Two drivers that begin at once both write; who reads itself back after this has the lease.
_CLAIM_SECONDS = 0.3


@contextmanager
def hold_lease(
    storage: BaseStorage, name: str, *, driver: str, times: LockTimes, url: str
) -> Iterator[Lease]:
    """Hold the lease on a study until the block ends; one that does not exist yet, once it does.

    Raises InputError while another driver's lease is fresh, unless that driver ran on this host
    and its process is gone.
    """
    lease = Lease(storage, name, driver=driver, times=times, url=url)
    lease.claim()
    keeper = threading.Thread(target=lease.keep, name="searchlab-lease", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        lease.end()
        keeper.join(times.refresh)


class Lease(SoleDriver):
    """One driver's lease. ``tend`` is one turn of the thread that renews it."""

    def __init__(
        self, storage: BaseStorage, name: str, *, driver: str, times: LockTimes, url: str
    ) -> None:
        super().__init__(driver)
        self._storage = storage
        self._name = name
        self._times = times
        self._url = url
        self._where = f"the study {name} in {hide_password(url)}"
        self._ending = threading.Event()
        self._writing = threading.Lock()
        self._is_claimed = False
        self._lost_to: str | None = None

    def claim(self) -> None:
        """Take the lease, where the study exists. Raises InputError where another has it."""
        study_id = self._find_study()
        if study_id is None:
            return
        self._refuse_if_held(self._read(study_id))
        self._write(study_id, self._own())
        self._ending.wait(_CLAIM_SECONDS)
        found = self._read(study_id)
        if found.get("driver") != self.driver:
            self._refuse_if_held(found)
        self._is_claimed = True

    def keep(self) -> None:
        """Renew the lease until it is ended or lost."""
        while not self._ending.wait(self._times.refresh) and self._lost_to is None:
            try:
                self.tend()
            except _failure_types() as error:
                logger.warning(
                    "%s: the lease could not be renewed: %s", self._where, self._say(error)
                )

    def tend(self) -> None:
        """Renew the lease once, or see that it was lost."""
        with self._writing:
            study_id = None if self._ending.is_set() else self._find_study()
            if study_id is None:
                return
            found = self._read(study_id)
            holder = found.get("driver")
            # Before the first claim a stale lease may come with the study, such as from a copy.
            if holder not in (None, self.driver) and (
                self._is_claimed or _is_fresh(found, self._times)
            ):
                self._lost_to = str(holder)
                return
            self._write(study_id, self._own())
            self._is_claimed = True

    def end(self) -> None:
        """Give the lease back, so that the next driver need not wait for its end."""
        self._ending.set()
        with self._writing:
            try:
                study_id = self._find_study()
                if study_id is not None and self._read(study_id).get("driver") == self.driver:
                    self._write(study_id, {})
            except _failure_types() as error:
                logger.warning(
                    "%s: the lease could not be given back: %s", self._where, self._say(error)
                )

    def check(self) -> None:
        """Raise InfrastructureError once another driver has the lease."""
        if self._lost_to is not None:
            raise InfrastructureError(
                f"{self._where} was taken over by the driver {self._lost_to} while this one "
                "could not renew its lease. This driver stops; the study goes on there"
            )

    def _say(self, error: Exception) -> str:
        reason = describe_cause(error) if isinstance(error, failure_types()) else str(error)
        return scrub(reason, self._url)

    def _find_study(self) -> int | None:
        try:
            return self._storage.get_study_id_from_name(self._name)
        except KeyError:
            return None

    def _read(self, study_id: int) -> dict[str, Any]:
        found = self._storage.get_study_system_attrs(study_id).get(LEASE)
        return found if isinstance(found, dict) else {}

    def _write(self, study_id: int, value: dict[str, Any]) -> None:
        self._storage.set_study_system_attr(study_id, LEASE, value)

    def _own(self) -> dict[str, Any]:
        return {
            "driver": self.driver,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "time": time.time(),
        }

    def _refuse_if_held(self, found: dict[str, Any]) -> None:
        if _is_fresh(found, self._times):
            raise InputError(
                f"is being run by another process ({found['driver']})",
                where=self._where,
                remedy="Wait for it to end; if it was killed, its lease ends "
                f"{self._times.lease:.0f} s after its last sign of life",
            )


def is_leased(storage: BaseStorage, name: str, times: LockTimes) -> bool:
    """Whether some driver holds the lease on a study. Raises as the storage does."""
    try:
        found = storage.get_study_system_attrs(storage.get_study_id_from_name(name)).get(LEASE)
    except KeyError:
        return False
    return isinstance(found, dict) and _is_fresh(found, times)


def _is_fresh(found: dict[str, Any], times: LockTimes) -> bool:
    age = time.time() - float(found.get("time", float("-inf")))
    if abs(age) > times.lease:
        return False
    return found.get("host") != socket.gethostname() or _is_running(int(found["pid"]))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _failure_types() -> tuple[type[Exception], ...]:
    """Return what a storage raises while it is away; KeyError once its study was deleted."""
    return (*failure_types(), SearchlabError, KeyError)
