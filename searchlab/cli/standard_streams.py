"""Standard streams in whatever state the shell left them: closed, full, broken, or ASCII only.

A study must not end, nor lose what it records, because nobody can read its progress any more.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

__all__ = ["GuardedStream", "OuterStream", "open_missing_streams"]

_ERRORS = "searchlab.plain"
# What tables and texts write.
_PLAIN = {
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
}


def _write_plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write what an encoding lacks as people would, ``+-`` for ``±``, else escaped."""
    assert isinstance(error, UnicodeEncodeError), error
    missing = error.object[error.start : error.end]
    plain = "".join(
        _PLAIN.get(letter, letter.encode("ascii", "backslashreplace").decode())
        for letter in missing
    )
    return plain, error.end


codecs.register_error(_ERRORS, _write_plainly)


def open_missing_streams() -> None:
    """Put the null device where a process was started without stdin, stdout or stderr.

    Otherwise the next file that it opens, such as a database, would take that place, and whatever
    prints would write into it. The same holds for the processes that it starts.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It takes the lowest descriptor that is free: in this order, the stream's own.
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 (as long as we run)
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


class OuterStream(io.TextIOBase):
    """A stream that stands before another one, ``inner``, which stays open if it is closed.

    It has no ``buffer``, because bytes that are written to that would go past ``write``.
    """

    def __init__(self, inner: TextIO) -> None:
        self.inner = inner

    def flush(self) -> None:
        """Flush the stream behind."""
        self.inner.flush()

    def close(self) -> None:
        """Leave the stream behind open: it is the process's, not ours."""

    def isatty(self) -> bool:
        """Return whether the stream behind is a terminal."""
        return self.inner.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the stream behind."""
        return self.inner.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream behind."""
        return self.inner.encoding


class GuardedStream(OuterStream):
    """Writes to ``inner`` until that fails; ``failure`` is then the reason, and nothing is written.

    Characters that the stream's encoding lacks are written plainly. A stream that another program
    has set not to wait is set to wait, because Python would lose what a slow reader cannot take.
    """

    def __init__(self, inner: TextIO) -> None:
        super().__init__(inner)
        self.failure: OSError | None = None
        with suppress(OSError, ValueError):  # ValueError: it has no descriptor
            os.set_blocking(inner.fileno(), True)
        if isinstance(inner, io.TextIOWrapper):
            inner.reconfigure(errors=_ERRORS)

    def write(self, text: str) -> int:
        """Write ``text``; return its length, as streams do."""
        self._try(lambda: self.inner.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind."""
        self._try(self.inner.flush)

    def _try(self, act: Callable[[], object]) -> None:
        if self.failure is not None:
            return
        try:
            act()
        except OSError as error:
            self.failure = error
            self._silence()

    def _silence(self) -> None:
        """Send what the stream still holds to the null device, where Python's end can flush it."""
        with suppress(OSError, ValueError):  # ValueError: it has no descriptor
            descriptor = self.inner.fileno()
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)
