"""Files that are complete on the disk or absent, whenever the process or machine stops."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

__all__ = ["replace_file", "unique_word", "write_bytes"]


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Call ``write`` to write a file to the disk, then move it to ``path`` in one step.

    It makes the folder. Raises OSError; then an earlier file at ``path`` stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{unique_word()}.tmp")
    try:
        write(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file and flush it to the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def unique_word() -> str:
    """Return a unique word for a file name; process ids alone repeat between hosts."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network mounts do not support this.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
