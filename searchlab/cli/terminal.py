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
from typing import TYPE_CHECKING, TextIO, cast

from searchlab.cli.standard_streams import GuardedStream, OuterStream, open_missing_streams
from searchlab.control_characters import escape_controls
from searchlab.records.storage.urls import hide_passwords

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "EscapingStream",
    "drawing_stream",
    "escape_streams",
    "escaped_output",
    "make_console",
    "make_text_console",
    "show_traceback",
]


class EscapingStream(OuterStream):
    """Writes text to ``inner``, with its control characters escaped; else it is that stream."""

    def write(self, text: str) -> int:
        """Write ``text``; return its length, as streams do."""
        self.inner.write(escape_controls(text))
        return len(text)


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
    if isinstance(stream, EscapingStream):
        return stream
    return cast(TextIO, EscapingStream(cast(TextIO, GuardedStream(stream))))


def drawing_stream(stream: TextIO) -> TextIO:
    """Return the stream behind ``stream``, for what moves the cursor and escapes its own text."""
    return stream.inner if isinstance(stream, EscapingStream) else stream


def make_text_console() -> Console:
    """Return a console of 80 columns that draws on nothing; its text is captured."""
    from rich.console import Console

    return Console(file=io.StringIO(), width=80, color_system=None, force_jupyter=False)


def make_console(*, stderr: bool = False) -> Console:
    """Return a console of rich on stdout or stderr; text for it is made by ``plain_text``."""
    from rich.console import Console

    return Console(file=drawing_stream(sys.stderr if stderr else sys.stdout))


def show_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Write what Python writes about an error that nothing caught; for ``sys.excepthook``."""
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(escape_controls(hide_passwords(text)))
