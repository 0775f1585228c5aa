"""The study's lock on PostgreSQL: advisory locks, which are free at once when their holder dies.

While a driver runs it holds two locks: the study's, exclusively or, with ``--join``, shared; and
its own, by which the others see that it is alive. A restart of the server drops all locks for an
instant. So a thread takes them again, and a driver counts as gone only if its lock stays free for
a while.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from searchlab.errors import InfrastructureError, InputError
from searchlab.records.locks.advisory_session import AdvisorySession, lock_key, make_engine
from searchlab.records.locks.drivers import LockTimes
from searchlab.records.storage.faults import Fault, classify, describe_cause
from searchlab.records.storage.fencing import Fence
from searchlab.records.storage.urls import hide_password, scrub

if TYPE_CHECKING:
    from searchlab.records.storage.idempotent_storage import IdempotentStorage

__all__ = ["AdvisoryLock"]

logger = logging.getLogger(__name__)

# The server frees the locks of a session that ended one after the other.
_TRIES = 5
_BETWEEN_TRIES_SECONDS = 0.2
_RECONNECT_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """A decision under way, and the session that held its lock at the beginning.

    One that ``is_fenced``, by a token in the study, loses its right to write when another one
    begins; any other loses it with its session.
    """

    session: AdvisorySession
    is_fenced: bool


class AdvisoryLock:
    """One driver's locks on one study, held for a ``with`` block by a thread that looks after them.

    ``database``, the driver's storage at ``url``, is told the fencing token of each decision.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        driver: str,
        shared: bool,
        times: LockTimes,
        database: IdempotentStorage,
    ) -> None:
        self.driver = driver
        self.shared = shared
        self._url = url
        self._engine = make_engine(url, driver)
        self._where = f"the study {name} in {hide_password(url)}"
        self._name = name
        self._times = times
        self._database = database
        self._study_key = lock_key("study", name)
        self._own_key = lock_key("driver", name, driver)
        self._decision_key = lock_key("turn", name)
        # One statement at a time; it guards what follows.
        self._access = threading.RLock()
        self._session: AdvisorySession | None = None
        self._connected_at = 0.0
        self._settled_at = 0.0
        self._looked_at = 0.0
        self._last_held: dict[int, float] = {}
        self._decision: _Decision | None = None
        self._num_decisions = 0
        self._lost = False
        self._tending = threading.Lock()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="searchlab-lock", daemon=True)

    # Holding

    def __enter__(self) -> AdvisoryLock:
        """Take the locks.

        Raises InputError if another driver holds the study in a way that excludes this one,
        InfrastructureError if the server cannot be reached.
        """
        try:
            session = AdvisorySession(self._engine)
            self._take_in_time(session)
            session.take(self._own_key)
        except SQLAlchemyError as error:
            raise InfrastructureError(
                f"{self._where} cannot be locked: {self._say(error)}"
            ) from None
        self._adopt(session, settled_after=0.0)
        self._keeper.start()
        return self

    def _take_in_time(self, session: AdvisorySession) -> None:
        deadline = time.monotonic() + self._times.acquire
        while not session.take(self._study_key, shared=self.shared):
            if time.monotonic() >= deadline:
                held = [lock for lock in session.look() if lock.key == self._study_key]
                session.close()
                raise self._refusal(is_joined=any(lock.is_shared for lock in held))
            time.sleep(_BETWEEN_TRIES_SECONDS)

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

    def _keep(self) -> None:
        while not self._ending.is_set() and not self._lost:
            pause = self._times.ping if self._session else _RECONNECT_SECONDS
            self._wake.wait(min(pause, self._times.ping))
            self._wake.clear()
            self.tend()

    def tend(self) -> None:
        """See whether the locks are still held; if not, connect and take them again.

        The thread does this until the locks are given back or lost.
        """
        with self._tending:
            if self._ending.is_set() or self._lost:
                return
            if self._session is not None:
                self._look()
            else:
                self._recover()

    def __exit__(self, *_error: object) -> None:
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
        self._keeper.join(self._times.ping)

    def check(self) -> None:
        """Raise InfrastructureError once another driver has the study."""
        if self._lost:
            raise InfrastructureError(
                f"{self._where} was taken over by another driver while this one had lost its "
                "connection. This driver stops; the study goes on there"
            )

    # The other drivers

    def is_alive(self, driver: str) -> bool:
        """Return whether a driver's lock was held, or this one connected, within ``grace``.

        Waits for one query at most; without a connection every driver counts as alive.
        """
        if driver == self.driver or not self.shared:
            return driver == self.driver
        key = lock_key("driver", self._name, driver)
        if self._seems_alive(key):
            return True
        self._look()  # it may have come since the last look
        return self._seems_alive(key)

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

    # Deciding

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Wait until no other driver decides, and keep them waiting for the block."""
        if not self.shared:
            yield
            return
        self._await_decision()
        try:
            yield
        finally:
            is_sound = self._end_decision()
        if not is_sound:
            raise InfrastructureError(
                f"{self._where}: the connection was lost while this driver created the study, and "
                "another driver may have created it meanwhile"
            )

    def _await_decision(self) -> None:
        deadline = time.monotonic() + self._times.decide
        while not self._try_to_begin():
            if time.monotonic() >= deadline:
                raise InfrastructureError(
                    f"{self._where}: this driver waited {self._times.decide:.0f} s to decide what "
                    "to run next. Another driver hangs, or the server is unreachable"
                )
            self.check()
            # Drivers that wait in step would meet again and again.
            time.sleep(random.uniform(0.005, 0.05))

    def _try_to_begin(self) -> bool:
        with self._access:
            assert self._decision is None  # a session could take its own lock twice
            session = self._session
            if session is None or time.monotonic() < self._settled_at:
                return False
            try:
                if session.take(self._decision_key):
                    self._num_decisions += 1
                    token = f"{self.driver}/{self._num_decisions}"
                    study_id = session.claim_token(self._name, token)
                    if study_id is not None:
                        self._database.fence = Fence(
                            study_id=study_id, study=self._name, token=token, is_for_decision=True
                        )
                    self._decision = _Decision(session=session, is_fenced=study_id is not None)
            except SQLAlchemyError as error:
                self._drop(error)
                if classify(error) is Fault.BROKEN:
                    raise InfrastructureError(
                        f"{self._where}: no decision can be recorded: {self._say(error)}"
                    ) from None
            return self._decision is not None

    def _end_decision(self) -> bool:
        """Let the others decide; return whether none can have decided at the same time."""
        with self._access:
            decision, self._decision = self._decision, None
            self._database.fence = None
            is_sound = decision is not None and (
                decision.is_fenced or decision.session is self._session
            )
            try:
                if self._session is not None:
                    self._session.give_back(self._decision_key)
            except SQLAlchemyError as error:
                self._drop(error)
            return is_sound

    # Connections that break

    def _drop(self, error: SQLAlchemyError | None = None) -> None:
        """Give up the session, and the locks that it held."""
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
            if self._take_again(session):
                self._adopt(session, settled_after=self._times.settle)
                return
        except SQLAlchemyError as error:
            logger.debug("%s: no connection yet: %s", self._where, self._say(error))
        if session is not None:
            session.close()

    def _take_again(self, session: AdvisorySession) -> bool:
        """Take both locks; the study is lost if another driver holds it in every try."""
        for _ in range(_TRIES):
            # Only this driver's session before the outage can hold its own lock: the server may
            # not know yet that it is gone.
            session.end_others(self._own_key)
            has_own = session.take(self._own_key)
            if has_own and session.take(self._study_key, shared=self.shared):
                return True
            if self._ending.wait(_BETWEEN_TRIES_SECONDS):
                return False
        self._lost = has_own
        return False

    def _adopt(self, session: AdvisorySession, *, settled_after: float) -> None:
        with self._access:
            if self._ending.is_set():
                session.close()
                return
            try:
                if self._decision is not None:
                    # A decision that the outage interrupted goes on, unless another driver's has
                    # begun: then its writes are refused.
                    session.take(self._decision_key)
            except SQLAlchemyError:
                session.close()
                return
            self._session = session
            self._connected_at = self._looked_at = time.monotonic()
            self._settled_at = self._connected_at + settled_after

    def _say(self, error: SQLAlchemyError) -> str:
        return scrub(describe_cause(error), self._url)
