"""The token that guards a Ray of our own: in a private file, gone at the end.

Left to itself, Ray writes one token for all its clusters to the home folder, readable by others.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import filelock

__all__ = ["guarded_by_token", "token_settings"]

_PREFIX = "searchlab-ray-"
# The lock of a folder is taken right after the folder is made.
_YOUNG_SECONDS = 60.0


@contextmanager
def guarded_by_token() -> Iterator[None]:
    """Have the Ray that is started meanwhile ask for a new random token, and this process give it.

    The file has mode 0600, in a temporary folder of mode 0700, removed at the end. What a driver
    that was killed left there is removed too. Ray must have been imported.
    """
    _remove_orphans()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # mode 0700
    lock = filelock.FileLock(folder / "lock", mode=0o600)
    try:
        with lock:
            file = folder / "token"
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(secrets.token_hex(32))
            with _environment({**token_settings(file), "RAY_AUTH_TOKEN": None}):
                yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def token_settings(file: Path) -> dict[str, str]:
    """Return the environment by which a process gives Ray the token in ``file``."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables, or unset them, for a while; Ray's own copies of them follow."""
    before = {name: os.environ.get(name) for name in changes}
    _apply(changes)
    try:
        yield
    finally:
        _apply(before)


def _apply(changes: Mapping[str, str | None]) -> None:
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    # Ray reads both once, at its import.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _remove_orphans() -> None:
    """Remove the folders that killed drivers left: nobody holds their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            found = folder.stat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < _YOUNG_SECONDS:
                continue
            with filelock.FileLock(folder / "lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (filelock.Timeout, OSError):
            continue
