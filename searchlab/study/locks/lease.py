"""A lease on a study: an attribute that its holder keeps renewing, seen through every storage.

It is the lock of drivers whose storage has no other, such as a gRPC proxy.

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
from searchlab.study.storage.faults import describe_cause, failure_types
from searchlab.study.storage.retrying_storage import RetryingStorage
from searchlab.study.storage.urls import hide_password, scrub

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["LEASE", "Lease", "hold_lease", "is_direct", "is_leased"]

logger = logging.getLogger(__name__)

LEASE = "searchlab:lease"
# Two drivers that begin at once both write; who reads itself back after this has the lease.
_CLAIM_SECONDS = 0.3
_UNCLAIMED_SECONDS = 1.0
# One failure is what a restart of the server leaves behind.
_WORTH_A_WARNING = 2


@contextmanager
def hold_lease(
    storage: BaseStorage, name: str, *, driver: str, times: LockTimes, url: str
) -> Iterator[Lease]:
    """Hold the lease on a study until the block ends; one that does not exist yet, once it does.

    Raises InputError while another driver's lease is fresh, unless that driver ran on this host
    and its process is gone.
    """
    lease = Lease(storage, name, driver=driver, times=times, url=url)
    lease.begin()
    try:
        yield lease
    finally:
        lease.end()


class Lease(SoleDriver):
    """One driver's lease. ``tend`` is one turn of the thread that renews it.

    Renewed and given back in one try: the holder waits for its storage elsewhere, and a lease
    that is not renewed for a while is honoured all the same.
    """

    def __init__(
        self, storage: BaseStorage, name: str, *, driver: str, times: LockTimes, url: str
    ) -> None:
        super().__init__(driver)
        self._patient = storage
        self._storage = storage.inner if isinstance(storage, RetryingStorage) else storage
        self._name = name
        self._times = times
        self._url = url
        self._where = f"the study {name} in {hide_password(url)}"
        self._ending = threading.Event()
        self._writing = threading.Lock()
        self._keeper: threading.Thread | None = None
        self._is_claimed = False
        self._lost_to: str | None = None

    def begin(self) -> None:
        """Claim the lease and keep it. Raises as ``claim``."""
        self.claim()
        self._keeper = threading.Thread(target=self.keep, name="searchlab-lease", daemon=True)
        self._keeper.start()

    def claim(self) -> None:
        """Take the lease, where the study exists. Raises InputError where another has it."""
        try:
            study_id = self._patient.get_study_id_from_name(self._name)
            found = self._read(study_id, self._patient)
        except KeyError:
            return
        self._refuse_if_held(found)
        self._is_claimed = self._write_and_look(study_id)

    def _write_and_look(self, study_id: int) -> bool:
        """Return whether a lease is there after all who begin at once have written theirs."""
        self._write(study_id, self._own(), self._patient)
        self._ending.wait(_CLAIM_SECONDS)
        found = self._read(study_id, self._patient)
        self._refuse_if_held(found)
        return bool(found)  # else another's end fell in between

    def keep(self) -> None:
        """Renew the lease until it is ended or lost."""
        num_failures = 0
        while not self._ending.wait(self._pause()) and self._lost_to is None:
            try:
                self.tend()
            except _failure_types() as error:
                num_failures += 1
                if num_failures == _WORTH_A_WARNING:
                    logger.warning(
                        "%s: the lease could not be renewed: %s", self._where, self._say(error)
                    )
            else:
                num_failures = 0

    def _pause(self) -> float:
        """Return how long to wait; a study that is made now should not be without for long."""
        refresh = self._times.refresh
        return refresh if self._is_claimed else min(refresh, _UNCLAIMED_SECONDS)

    def tend(self) -> None:
        """Renew the lease once, or see that it was lost."""
        with self._writing:
            study_id = None if self._ending.is_set() else self._find_study()
            if study_id is None:
                return
            found = self._read(study_id)
            # Before the first claim a stale lease may come with the study, such as from a copy.
            if self._is_anothers(found) and (self._is_claimed or _is_fresh(found, self._times)):
                self._lost_to = str(found["driver"])
                return
            self._write(study_id, self._own())
            self._is_claimed = True

    def rest(self) -> None:
        """Renew the lease no more."""
        self._ending.set()

    def end(self) -> None:
        """Give the lease back, so that the next driver need not wait for its end."""
        self.rest()
        with self._writing:
            try:
                study_id = self._find_study()
                if study_id is not None and self._is_ours_to_end(self._read(study_id)):
                    self._write(study_id, {})
            except _failure_types() as error:
                logger.warning(
                    "%s: the lease could not be given back: %s", self._where, self._say(error)
                )
        if self._keeper is not None:
            self._keeper.join(self._times.refresh)

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

    def _read(self, study_id: int, storage: BaseStorage | None = None) -> dict[str, Any]:
        found = (storage or self._storage).get_study_system_attrs(study_id).get(LEASE)
        return found if isinstance(found, dict) else {}

    def _write(
        self, study_id: int, value: dict[str, Any], storage: BaseStorage | None = None
    ) -> None:
        (storage or self._storage).set_study_system_attr(study_id, LEASE, value)

    def _own(self) -> dict[str, Any]:
        return {
            "driver": self.driver,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "time": time.time(),
        }

    def _is_anothers(self, found: dict[str, Any]) -> bool:
        """Whether a lease is one that this driver has to respect."""
        return found.get("driver") not in (None, self.driver)

    def _is_ours_to_end(self, found: dict[str, Any]) -> bool:
        return found.get("driver") == self.driver

    def _refuse_if_held(self, found: dict[str, Any]) -> None:
        if self._is_anothers(found) and _is_fresh(found, self._times):
            raise InputError(
                f"is being run by another process ({found['driver']})",
                where=self._where,
                remedy="Wait for it to end; if it was killed, its lease ends "
                f"{self._times.lease:.0f} s after its last sign of life",
            )


def is_leased(
    storage: BaseStorage, name: str, times: LockTimes, *, but_direct: bool = False
) -> bool:
    """Whether some driver holds the lease on a study. Raises as the storage does.

    ``but_direct`` leaves out drivers whose own locks in the database tell more.
    """
    try:
        found = storage.get_study_system_attrs(storage.get_study_id_from_name(name)).get(LEASE)
    except KeyError:
        return False
    if not isinstance(found, dict) or (but_direct and is_direct(found)):
        return False
    return _is_fresh(found, times)


def is_direct(found: dict[str, Any]) -> bool:
    """Whether a lease stands for a lock in the database itself, which decides among its like."""
    return bool(found.get("direct"))


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
