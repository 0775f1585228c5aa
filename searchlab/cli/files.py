"""Writes the files that commands make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchlab.errors import InputError

__all__ = ["check_writable", "write_file", "writing"]


def check_writable(path: Path, *, force: bool) -> None:
    """Raise InputError if the file exists and ``force`` is not set."""
    if path.exists() and not force:
        raise InputError(
            "already exists", where=str(path), remedy="Choose another file, or add --force"
        )


_ELSEWHERE = "Choose another place with --out"


def write_file(path: Path, text: str, *, remedy: str = _ELSEWHERE) -> None:
    """Write a file and the folders above it. Raises InputError if that fails."""
    with writing(path, remedy=remedy):
        path.write_text(text, encoding="utf-8")


@contextmanager
def writing(path: Path, *, remedy: str = _ELSEWHERE) -> Iterator[None]:
    """Make the folders above ``path``, and let the block write it. Raises as ``write_file``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(
            f"cannot be written: {error.strerror}", where=str(path), remedy=remedy
        ) from error
