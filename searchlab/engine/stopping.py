"""StopRequest: the first Ctrl-C, or a fault, requests a clean end; a second Ctrl-C ends at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from searchlab.control_characters import escape_controls
from searchlab.errors import SearchlabError

__all__ = ["StopRequest", "stop_on_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# If the whole process group got the signal, Ray's own servers died of it, and waiting for their
# answers takes minutes. Nothing is lost by ending without them.
_LONGEST_STOP_SECONDS = 20.0


class StopRequest:
    """Whether the study is to stop, since when, and why: a signal, or a fault of the machine."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.fault: Exception | None = None
        self._since: float | None = None
        self._deadline: threading.Timer | None = None
        self._on_stop: list[Callable[[], None]] = []

    def tell(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` from the signal handler; it must take no lock."""
        self._on_stop.append(listener)

    def make(self, signal_number: int) -> None:
        """Request a stop; the process is ended if stopping takes too long."""
        self.signal_number = signal_number
        self._begin(128 + signal_number, "Stopped at once.")
        for listener in self._on_stop:
            listener()

    def fail(self, fault: Exception) -> None:
        """Stop because the study cannot go on; the driver raises ``fault`` at the end."""
        self.fault = self.fault or fault
        if not self.is_made:
            exit_code = fault.exit_code if isinstance(fault, SearchlabError) else 1
            self._begin(exit_code, f"error: {fault}")

    def _begin(self, exit_code: int, last_words: str) -> None:
        self._since = time.monotonic()
        self.close()  # an earlier timer would end the process even after the study stopped
        arguments = (exit_code, last_words)
        self._deadline = threading.Timer(_LONGEST_STOP_SECONDS, _end_process, arguments)
        self._deadline.daemon = True
        self._deadline.start()

    def close(self) -> None:
        """Cancel the timer that ends the process: the study has stopped."""
        if self._deadline is not None:
            self._deadline.cancel()

    @property
    def is_made(self) -> bool:
        """Whether a stop was requested."""
        return self._since is not None

    @property
    def age_seconds(self) -> float:
        """Seconds since the request; 0 if there was none."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as in shells."""
        return 128 + (self.signal_number or signal.SIGINT)


def _end_process(exit_code: int, last_words: str) -> None:
    text = escape_controls(f"\n{last_words} The study can be resumed.\n")
    with suppress(OSError, ValueError):  # whoever watched may be gone, or its disk full
        os.write(sys.stderr.fileno(), text.encode(errors="replace"))
    os._exit(exit_code)


@contextmanager
def stop_on_signals(request: StopRequest) -> Iterator[None]:
    """Handle SIGINT and SIGTERM until the block ends: the first makes ``request``.

    The second ends the process on the spot. Ray's workers die with their driver, and the storage
    is consistent at every moment, so the study can still be resumed. Does nothing outside the main
    thread, where Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(signal_number: int, _frame: FrameType | None) -> None:
        if request.is_made:
            _end_process(128 + signal_number, "Stopped at once.")
        request.make(signal_number)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
