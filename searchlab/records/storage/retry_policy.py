"""How long a call to an unreachable storage is retried, and what the user is told meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from searchlab.errors import InfrastructureError
from searchlab.records.storage.faults import STORAGE_ERRORS, Fault, classify, describe_cause
from searchlab.records.storage.urls import hide_password, scrub

__all__ = ["RetryPolicy"]

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
# A pause is slept in slices, so that ``end`` takes effect at once.
_SLICE_SECONDS = 0.25

_T = TypeVar("_T")


class RetryPolicy:
    """Retries calls to one storage while it is unreachable, each for at most ``seconds``.

    Logs once that the storage is unreachable and once that it is back, however many threads wait.
    """

    def __init__(self, url: str, *, seconds: float) -> None:
        self._url = url
        self._where = f"Storage {hide_password(url)}"
        self._seconds = seconds
        self._ended = False
        self._unreachable_since: float | None = None
        self._lock = threading.Lock()

    def end(self) -> None:
        """Retry nothing from now on. A signal handler may call this: it takes no lock."""
        self._ended = True

    def call(self, action: Callable[[], _T], again: Callable[[], _T] | None = None) -> _T:
        """Return the result of ``action``; retries call ``again`` if it is given.

        Raises InfrastructureError if the time is over, or if no retry can help.
        """
        start = time.monotonic()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = action()
            except STORAGE_ERRORS as error:
                self._check_worth_retrying(error, start)
            else:
                if self._unreachable_since is not None:
                    self._note_back()
                return answer
            self._sleep(min(pause, start + self._seconds - time.monotonic()))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            action = again or action

    def glance(self, action: Callable[[], object]) -> None:
        """Call ``action`` once; an outage counts as success, because it may pass.

        Raises InfrastructureError if the storage is broken.
        """
        try:
            action()
        except STORAGE_ERRORS as error:
            if classify(error) is Fault.BROKEN:
                raise self._describe_broken(error) from None

    def _describe_broken(self, error: Exception) -> InfrastructureError:
        return InfrastructureError(
            f"{self._where} cannot be used: {scrub(describe_cause(error), self._url)}. Nothing "
            "recorded is lost: fix the storage, then resume the study"
        )

    def _check_worth_retrying(self, error: Exception, start: float) -> None:
        fault = classify(error)
        if fault is None:
            raise error
        if fault is Fault.BROKEN:
            raise self._describe_broken(error) from None
        cause = scrub(describe_cause(error), self._url)
        waited = time.monotonic() - start
        if self._ended or waited >= self._seconds:
            raise InfrastructureError(
                f"{self._where} was unreachable for {waited:.0f} s: {cause}. Nothing recorded is "
                "lost: resume the study once the storage is back"
            ) from None
        self._note_unreachable(cause)

    def _note_unreachable(self, cause: str) -> None:
        with self._lock:
            is_first = self._unreachable_since is None
            if is_first:
                self._unreachable_since = time.monotonic()
        if is_first:
            message = "%s is unreachable; retrying for up to %.0f s: %s"
            logger.warning(message, self._where, self._seconds, cause)

    def _note_back(self) -> None:
        with self._lock:
            since, self._unreachable_since = self._unreachable_since, None
        if since is not None:
            logger.warning("%s is back after %.1f s", self._where, time.monotonic() - since)

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._ended and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))
