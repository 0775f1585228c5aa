"""The output streams of the command line: what is written to them cannot steer a terminal.

``escaped_output`` puts a stream before stdout and stderr that escapes control characters, so that
no command, message, log line or traceback need think of it. Only what draws goes past that
stream: rich, and lines that are overwritten.
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, cast

from searchlab.cli.standard_streams import GuardedStream, open_missing_streams
from searchlab.control_characters import escape_controls

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "EscapingStream",
    "drawing_stream",
    "escape_streams",
    "escaped_output",
    "make_console",
    "show_traceback",
]


class EscapingStream(io.TextIOBase):
    """Writes text to ``inner``, with its control characters escaped; else it is that stream."""

    def __init__(self, inner: TextIO) -> None:
        self.inner = inner

    def write(self, text: str) -> int:
        """Write ``text``; return its length, as streams do."""
        self.inner.write(escape_controls(text))
        return len(text)

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

    def reconfigure(self, **settings: Any) -> None:
        """Reconfigure the stream behind."""
        cast(io.TextIOWrapper, self.inner).reconfigure(**settings)

    # What writes bytes would go past the escaping, so there is no ``buffer``.
    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream behind."""
        return self.inner.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What the stream behind does with characters that it cannot encode."""
        return self.inner.errors


@contextmanager
def escaped_output() -> Iterator[GuardedStream]:
    """Escape control characters in what the block writes to stdout and stderr.

    Yields the stream behind stdout, which tells whether all of it could be written.
    """
    open_missing_streams()
    before = sys.stdout, sys.stderr
    escape_streams()
    out, err = drawing_stream(sys.stdout), drawing_stream(sys.stderr)
    assert isinstance(out, GuardedStream)
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def escape_streams() -> None:
    """Put an escaping stream before stdout and stderr, whatever these are now."""
    sys.stdout, sys.stderr = _escape(sys.stdout), _escape(sys.stderr)


def _escape(stream: TextIO) -> TextIO:
    if stream is None or isinstance(stream, EscapingStream):  # None: started with it closed
        return stream
    return cast(TextIO, EscapingStream(cast(TextIO, GuardedStream(stream))))


def drawing_stream(stream: TextIO) -> TextIO:
    """Return the stream behind ``stream``, for what moves the cursor and escapes its own text."""
    return stream.inner if isinstance(stream, EscapingStream) else stream


def make_console(*, stderr: bool = False) -> Console:
    """Return a console of rich on stdout or stderr; text for it is made by ``plain_text``."""
    from rich.console import Console

    return Console(file=drawing_stream(sys.stderr if stderr else sys.stdout))


def show_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Write what Python writes about an error that nothing caught; for ``sys.excepthook``."""
    sys.stderr.write(escape_controls("".join(traceback.format_exception(kind, error, trace))))
