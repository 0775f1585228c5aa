"""The private folder of a Ray started here: its session, and the token that guards it.

Ray's own choice is one folder for all users under the temporary folder, open to everybody, in which
sessions stay for ever.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from searchlab.errors import InputError

__all__ = ["private_folder"]

_PREFIX = "searchlab-ray-"
# A folder is locked right after it is made; a younger one may not be locked yet.
_YOUNG_SECONDS = 60.0
# Of a socket's path, in bytes, without the zero at its end.
_LONGEST_SOCKET = 107
# What is below the folder that holds ours: its name, and Ray's longest socket.
_BELOW = f"/{_PREFIX}12345678/r/session_2026-11-29_12-00-00_123456_1234567/sockets/plasma_store"
_SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder of mode 0700 that only this process uses, and remove it at the end.

    Folders that killed drivers left behind are removed too. Raises InputError if no temporary
    folder is short enough for Ray's sockets.
    """
    parent = _choose_parent()
    _remove_orphans(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))  # mode 0700
    try:
        with filelock.FileLock(folder / "lock", mode=0o600):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _choose_parent() -> Path:
    """Return RAY_TMPDIR or the temporary folder; if that is too long for sockets, a short one."""
    wanted = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    for parent in (wanted, *_SHORT_FOLDERS):
        is_short = len(os.fsencode(str(Path(parent).absolute()) + _BELOW)) <= _LONGEST_SOCKET
        if is_short and os.access(parent, os.W_OK | os.X_OK):
            return Path(parent).absolute()
    raise InputError(
        f"may have {_LONGEST_SOCKET - len(_BELOW)} characters at most, for the sockets of Ray",
        where="the temporary folder",
        found=wanted,
        remedy="Set RAY_TMPDIR to a folder with a short path, or use --engine serial",
    )


def _remove_orphans(parent: Path) -> None:
    """Remove the folders of killed drivers: those whose lock nobody holds."""
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            found = folder.stat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < _YOUNG_SECONDS:
                continue
            with filelock.FileLock(folder / "lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (filelock.Timeout, OSError):
            continue
