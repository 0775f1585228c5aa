"""How long a storage's absence is waited for, and what is said meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from searchlab.errors import InfrastructureError
from searchlab.study.storage.faults import Fault, classify, describe_cause, failure_types
from searchlab.study.storage.urls import hide_password, scrub

__all__ = ["RetryPolicy"]

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
# A pause is slept in slices, so that one who ends the patience is heard.
_SLICE_SECONDS = 0.25

_T = TypeVar("_T")


class RetryPolicy:
    """Repeats calls to one storage while it is away, for ``seconds`` at most per call.

    Says once that the storage is away and once that it is back, however many threads wait.
    """

    def __init__(self, url: str, *, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._ended = False
        self._away_since: float | None = None
        self._lock = threading.Lock()

    def end(self) -> None:
        """Wait no longer, now and later. Takes no lock: a signal handler may call it."""
        self._ended = True

    def call(self, action: Callable[[], _T], again: Callable[[], _T] | None = None) -> _T:
        """Return what ``action`` does, repeated as ``again`` where the storage was away.

        Raises InfrastructureError where the patience ends or waiting can't mend the fault.
        """
        start = time.monotonic()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = action()
            except failure_types() as error:
                self._judge(error, start)
            else:
                if self._away_since is not None:
                    self._note_back()
                return answer
            self._sleep(min(pause, start + self._seconds - time.monotonic()))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            action = again or action

    def _judge(self, error: Exception, start: float) -> None:
        """Return where the call is worth another try, else raise."""
        fault = classify(error)
        if fault is None:
            raise error
        where = f"storage {hide_password(self._url)}"
        cause = scrub(describe_cause(error), self._url)
        if fault is Fault.BROKEN:
            raise InfrastructureError(
                f"{where} cannot be used: {cause}. What it holds is kept: "
                "mend it, then resume the study"
            ) from None
        waited = time.monotonic() - start
        if self._ended or waited >= self._seconds:
            raise InfrastructureError(
                f"{where} was away for {waited:.0f} s: {cause}. What it holds is kept: "
                "resume the study once the storage is back"
            ) from None
        self._note_away(f"{where} is away, waiting {self._seconds:.0f} s for it: {cause}")

    def _note_away(self, message: str) -> None:
        with self._lock:
            first = self._away_since is None
            if first:
                self._away_since = time.monotonic()
        if first:
            logger.warning(message)

    def _note_back(self) -> None:
        with self._lock:
            since, self._away_since = self._away_since, None
        if since is not None:
            seconds = time.monotonic() - since
            where = hide_password(self._url)
            logger.warning("storage %s is back after %.1f s", where, seconds)

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._ended and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))
