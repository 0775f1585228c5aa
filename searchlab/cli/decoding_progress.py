"""Shows on stderr how many image files are decoded or classified."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from searchlab.cli.terminal import drawing_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from searchlab.data.decoding import Progress

__all__ = ["CountProgress", "make_classifying_progress", "make_decoding_progress"]

_TERMINAL_SECONDS = 0.1
_LINE_SECONDS = 10.0


def make_decoding_progress(quiet: bool) -> Progress | None:
    """Return a progress line for the decoding on stderr, or None if ``quiet``."""
    return None if quiet else CountProgress(drawing_stream(sys.stderr), "decoding", "decoded")


def make_classifying_progress() -> Progress:
    """Return a progress line for the classifying on stderr."""
    return CountProgress(drawing_stream(sys.stderr), "classifying", "classified")


class CountProgress:
    """On a terminal one line that is overwritten; elsewhere a line every ten seconds.

    ``doing`` and ``done`` say what happens to the images.
    """

    def __init__(
        self,
        stream: TextIO,
        doing: str,
        done: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._doing = doing
        self._done = done
        self._clock = clock
        self._on_terminal = stream.isatty()
        # In a log, a folder that is decoded before the first line is due gets none.
        self._due = clock() + (0.0 if self._on_terminal else _LINE_SECONDS)
        self._length = 0

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` images are ready."""
        is_over = done >= total
        if is_over and self._length:
            self._end(total)
        elif not is_over and self._clock() >= self._due:
            self._write(f"{self._doing} images: {done:,}/{total:,} ({done / total:.0%})")

    def _write(self, line: str) -> None:
        self._length = len(line)
        # The cursor goes back to the start, so that an error message overwrites the line.
        self._stream.write(line + ("\r" if self._on_terminal else "\n"))
        self._stream.flush()
        self._due = self._clock() + (_TERMINAL_SECONDS if self._on_terminal else _LINE_SECONDS)

    def _end(self, total: int) -> None:
        if self._on_terminal:
            self._stream.write(" " * self._length + "\r")
            self._stream.flush()
        else:
            self._write(f"{self._done} {total:,} images")
        self._length = 0
