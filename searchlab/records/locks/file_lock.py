"""Locks by files: they are free as soon as their holder ends or is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from searchlab.errors import InfrastructureError, InputError

__all__ = ["hold_file", "is_file_held"]


@contextmanager
def hold_file(path: Path, *, seconds: float, where: str, remedy: str) -> Iterator[None]:
    """Hold a file's lock until the block ends.

    Raises InputError, with ``where`` and ``remedy``, if another process holds it for ``seconds``;
    InfrastructureError if the file cannot be made or locked.
    """
    lock = filelock.FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError("is being run by another process", where=where, remedy=remedy) from None
    except OSError as error:
        raise InfrastructureError(
            f"{where} cannot be locked by {path}: {error.strerror}. The place must be one that can "
            "be written, on a file system with locks"
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_file_held(path: Path) -> bool:
    """Return whether a process holds a file's lock at this moment."""
    if not path.exists():
        return False
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    except OSError:
        return False  # another user's file: nobody here could drive its study
    lock.release()
    return False
