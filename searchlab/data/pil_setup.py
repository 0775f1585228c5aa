"""PIL as it is used here: without its limit of pixels, and no warning without a file's name."""

from __future__ import annotations

import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from searchlab.control_characters import escape_line

__all__ = ["DAMAGE", "naming", "opening_images"]

DAMAGE = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError,
    RuntimeError, struct.error, zlib.error,
)  # fmt: skip
"""What PIL raises on damaged files; SyntaxError is PNG's own, RuntimeError AVIF's.

Its own OSErrors have no number.
"""

logger = logging.getLogger(__name__)

_open_file = threading.local()


@contextmanager
def opening_images() -> Iterator[None]:
    """Let the block open images in any number of threads, each file inside ``naming``.

    PIL's own limit of pixels is off, because ``decoding`` has one. Its warnings become log lines,
    one for each place in PIL that warns, with the first file concerned.
    """
    from PIL import Image

    Image.init()  # once here, not in each thread
    limit = Image.MAX_IMAGE_PIXELS
    pil_logger = logging.getLogger("PIL")
    level = pil_logger.level
    with warnings.catch_warnings():
        warnings.filterwarnings("always", module=r"PIL\.")
        _show_with_name()
        Image.MAX_IMAGE_PIXELS = None
        pil_logger.setLevel(logging.CRITICAL)  # its lines name no file either
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
            pil_logger.setLevel(level)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let warnings of PIL about the file that this thread reads in the block have its name."""
    _open_file.path = path
    try:
        yield
    finally:
        _open_file.path = None


def _show_with_name() -> None:
    """Let warnings about the file that is being read become log lines."""
    show_others = warnings.showwarning
    told: set[tuple[str, int]] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        path = getattr(_open_file, "path", None)
        if path is None:
            show_others(message, category, filename, lineno, file, line)
        elif (filename, lineno) not in told:
            told.add((filename, lineno))
            logger.warning("%s: %s", escape_line(str(path)), message)

    warnings.showwarning = show
