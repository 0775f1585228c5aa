"""The study's lock on PostgreSQL: advisory locks, which free at once when their holder dies.

A driver holds two while it runs: the study's, exclusively or, with ``--join``, shared; and its
own, by which the others see that it lives. A restart of the server drops everybody's for an
instant, so a thread takes them again, and a missing lock means a missing driver only after a while.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy.exc import SQLAlchemyError

from searchlab.errors import InfrastructureError, InputError
from searchlab.study.locks.advisory_session import AdvisorySession, lock_key, make_engine
from searchlab.study.locks.drivers import LockTimes
from searchlab.study.storage.faults import Fault, classify, describe_cause
from searchlab.study.storage.urls import hide_password, scrub

if TYPE_CHECKING:
    from searchlab.study.storage.record_storage import RecordStorage

__all__ = ["AdvisoryLock", "hold_advisory_lock", "is_study_locked"]

logger = logging.getLogger(__name__)

# The locks of a session that ended are freed one after the other.
_TRIES = 5
_BETWEEN_TRIES_SECONDS = 0.2
_RECONNECT_SECONDS = 0.5


@contextmanager
def hold_advisory_lock(
    url: str,
    name: str,
    *,
    driver: str,
    shared: bool,
    times: LockTimes,
    records: RecordStorage | None,
) -> Iterator[AdvisoryLock]:
    """Hold a study's lock on PostgreSQL until the block ends.

    ``records``, the driver's storage on the same database, refuses what is written in a turn that
    was lost; without it two drivers may decide at once when a connection breaks.

    Raises InputError where another driver holds it in a way that excludes this one,
    InfrastructureError where the server cannot be reached.
    """
    lock = AdvisoryLock(url, name, driver=driver, shared=shared, times=times, records=records)
    lock.take()
    keeper = threading.Thread(target=lock.keep, name="searchlab-lock", daemon=True)
    keeper.start()
    try:
        yield lock
    finally:
        lock.end()
        keeper.join(times.ping)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """A turn and the session that took it; one that is ``is_noted`` in the study ends with the
    next one's beginning, else it ends with its session."""

    session: AdvisorySession
    is_noted: bool


class AdvisoryLock:
    """One driver's locks on one study. ``tend`` is one turn of the thread that keeps them."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        driver: str,
        shared: bool,
        times: LockTimes,
        records: RecordStorage | None,
    ) -> None:
        self.driver = driver
        self.shared = shared
        self._url = url
        self._engine = make_engine(url, driver)
        self._where = f"the study {name} in {hide_password(url)}"
        self._name = name
        self._times = times
        self._records = records
        self._study_key = lock_key("study", name)
        self._own_key = lock_key("driver", name, driver)
        self._turn_key = lock_key("turn", name)
        # One statement at a time; what follows is read and written under it.
        self._access = threading.RLock()
        self._session: AdvisorySession | None = None
        self._connected_at = 0.0
        self._settled_at = 0.0
        self._looked_at = 0.0
        self._last_held: dict[int, float] = {}
        self._turn: _Turn | None = None
        self._num_turns = 0
        self._lost = False
        self._tending = threading.Lock()
        self._turns = threading.Lock()  # a session may take its own lock twice
        self._wake = threading.Event()
        self._ending = threading.Event()

    def take(self) -> None:
        """Take the locks for the first time. Raises as ``hold_advisory_lock``."""
        try:
            session = AdvisorySession(self._engine)
            self._take_in_time(session)
            session.take(self._own_key)
        except SQLAlchemyError as error:
            raise InfrastructureError(
                f"{self._where} cannot be locked: {self._say(error)}"
            ) from None
        self._adopt(session, settled_after=0.0)

    def _take_in_time(self, session: AdvisorySession) -> None:
        deadline = time.monotonic() + self._times.acquire
        while not self._take_study(session):
            if time.monotonic() >= deadline:
                held = [lock for lock in session.look() if lock.key == self._study_key]
                session.close()
                raise self._refusal(is_joined=any(lock.is_shared for lock in held))
            time.sleep(_BETWEEN_TRIES_SECONDS)

    def keep(self) -> None:
        """Look after the locks until they are given back or lost."""
        while not self._ending.is_set() and not self._lost:
            pause = self._times.ping if self._session else _RECONNECT_SECONDS
            self._wake.wait(min(pause, self._times.ping))
            self._wake.clear()
            self.tend()

    def tend(self) -> None:
        """See whether the locks are held still; connect and take them again where they are not."""
        with self._tending:
            if self._ending.is_set() or self._lost:
                return
            if self._session is not None:
                self._look()
            else:
                self._recover()

    def end(self) -> None:
        """Give the locks back."""
        self._ending.set()
        self._wake.set()
        with self._access:
            if self._session is not None:
                try:
                    self._session.give_all_back()
                except SQLAlchemyError:
                    logger.debug("%s: the lock ended with its server", self._where)
            self._drop()
        self._engine.dispose()

    def check(self) -> None:
        """Raise InfrastructureError once another driver has the study."""
        if self._lost:
            raise InfrastructureError(
                f"{self._where} was taken over by another driver while this one had lost its "
                "connection. This driver stops; the study goes on there"
            )

    def is_alive(self, driver: str) -> bool:
        """Whether another driver's lock was held, or this one was connected, within ``grace``.

        Never waits for longer than one query; without a connection every driver is alive.
        """
        if driver == self.driver or not self.shared:
            return driver == self.driver
        key = lock_key("driver", self._name, driver)
        if self._seems_alive(key):
            return True
        self._look()  # it may have come since the last look
        return self._seems_alive(key)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Wait for this driver's turn, and keep it for the block; nothing where it is alone."""
        if not self.shared:
            yield
            return
        self._await_turn()
        try:
            yield
        finally:
            is_sound = self._end_turn()
        if not is_sound:
            raise InfrastructureError(
                f"{self._where}: the connection was lost while this driver made the study, and "
                "another driver may have made it meanwhile"
            )

    def _await_turn(self) -> None:
        deadline = time.monotonic() + self._times.turn
        if not self._turns.acquire(timeout=self._times.turn):
            raise self._no_turn()
        has_turn = False
        try:
            while not (has_turn := self._try_turn()):
                self.check()
                if time.monotonic() >= deadline:
                    raise self._no_turn()
                # Drivers that wait in step would meet again and again.
                time.sleep(random.uniform(0.005, 0.05))
        finally:
            if not has_turn:
                self._turns.release()

    def _try_turn(self) -> bool:
        with self._access:
            if self._session is None or time.monotonic() < self._settled_at:
                return False
            try:
                if self._session.take(self._turn_key):
                    self._turn = self._begin_turn(self._session)
            except SQLAlchemyError as error:
                self._drop(error)
                if classify(error) is Fault.BROKEN:
                    raise InfrastructureError(
                        f"{self._where} cannot be decided on: {self._say(error)}"
                    ) from None
            return self._turn is not None

    def _begin_turn(self, session: AdvisorySession) -> _Turn:
        if self._records is None:
            return _Turn(session=session, is_noted=False)
        self._num_turns += 1
        token = f"{self.driver}/{self._num_turns}"
        is_noted = session.note_turn(self._name, token)
        self._records.turn = token if is_noted else None
        return _Turn(session=session, is_noted=is_noted)

    def _end_turn(self) -> bool:
        """Give the turn back; return whether nobody else's decision can have met with this one."""
        with self._access:
            turn, self._turn = self._turn, None
            if self._records is not None:
                self._records.turn = None
            is_sound = turn is not None and (turn.is_noted or turn.session is self._session)
            try:
                if self._session is not None:
                    self._session.give_back(self._turn_key)
            except SQLAlchemyError as error:
                self._drop(error)
            self._turns.release()
            return is_sound

    def _no_turn(self) -> InfrastructureError:
        return InfrastructureError(
            f"{self._where}: this driver's turn to decide what to run next did not come within "
            f"{self._times.turn:.0f} s: another driver hangs, or the server is away"
        )

    def _seems_alive(self, key: int) -> bool:
        with self._access:
            free_since = max(self._last_held.get(key, 0.0), self._connected_at)
            return self._session is None or self._looked_at - free_since < self._times.grace

    def _look(self) -> None:
        with self._access:
            if self._session is None:
                return
            try:
                held = self._session.look()
            except SQLAlchemyError as error:
                self._drop(error)
                return
            self._looked_at = time.monotonic()
            self._last_held.update((lock.key, self._looked_at) for lock in held)

    def _drop(self, error: SQLAlchemyError | None = None) -> None:
        """Part with a session, and with the locks that it held."""
        if error is not None:
            logger.warning("%s: the lock's connection broke: %s", self._where, self._say(error))
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self._wake.set()

    def _recover(self) -> None:
        session = None
        try:
            session = AdvisorySession(self._engine)
            outcome = self._take_again(session)
        except SQLAlchemyError as error:
            logger.debug("%s: no connection yet: %s", self._where, self._say(error))
            outcome = "again"
        if outcome == "taken" and session is not None:
            self._adopt(session, settled_after=self._times.settle)
            return
        self._lost = outcome == "lost"
        if session is not None:
            session.close()

    def _take_again(self, session: AdvisorySession) -> Literal["taken", "lost", "again"]:
        for _ in range(_TRIES):
            # Only this driver's session before the outage can have its own lock: the server may
            # not know yet that it is gone.
            session.end_others(self._own_key)
            has_own = session.take(self._own_key)
            if has_own and self._take_study(session):
                return "taken"
            if self._ending.wait(_BETWEEN_TRIES_SECONDS):
                return "again"
        return "lost" if has_own else "again"

    def _take_study(self, session: AdvisorySession) -> bool:
        return session.take(self._study_key, shared=self.shared)

    def _adopt(self, session: AdvisorySession, *, settled_after: float) -> None:
        with self._access:
            if self._ending.is_set():
                session.close()
                return
            try:
                if self._turn is not None:
                    # A decision that the outage fell into goes on, unless another driver's has
                    # begun: then its writes are refused.
                    session.take(self._turn_key)
            except SQLAlchemyError:
                session.close()
                return
            self._session = session
            self._connected_at = self._looked_at = time.monotonic()
            self._settled_at = self._connected_at + settled_after

    def _say(self, error: SQLAlchemyError) -> str:
        return scrub(describe_cause(error), self._url)

    def _refusal(self, *, is_joined: bool) -> InputError:
        if is_joined:
            rule, remedy = "with --join", "Add --join to take part, or wait for the others to end"
        elif self.shared:
            rule = "without --join"
            remedy = "Wait for it to end, or stop it and resume it there with --join"
        else:
            rule, remedy = "", "Wait for it to end, or run all its drivers with --join"
        return InputError(
            f"is being run by another process {rule}".rstrip(), where=self._where, remedy=remedy
        )


def is_study_locked(url: str, name: str) -> bool:
    """Whether some driver holds a study. Raises InfrastructureError without a server."""
    engine = make_engine(url, "status")
    try:
        session = AdvisorySession(engine)
        held = session.look()
        session.close()
    except SQLAlchemyError as error:
        raise InfrastructureError(
            f"{hide_password(url)}: {scrub(describe_cause(error), url)}"
        ) from None
    finally:
        engine.dispose()
    return any(lock.key == lock_key("study", name) for lock in held)
