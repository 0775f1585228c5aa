"""The token that guards a Ray started here: in a private file that is removed at the end.

By default Ray writes one token for all its clusters to the home folder, readable by others.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from searchlab.engine.ray.ray_internals import reread_token_settings

__all__ = ["guarded_by_token", "token_settings"]


@contextmanager
def guarded_by_token(folder: Path) -> Iterator[None]:
    """Make a Ray started in this block require a new random token, which this process presents.

    The token is in a file of mode 0600 in ``folder``, which is private. Ray must have been
    imported.
    """
    file = folder / "token"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(32))
    with _environment({**token_settings(file), "RAY_AUTH_TOKEN": None}):
        yield


def token_settings(file: Path) -> dict[str, str]:
    """Return the environment variables that make a process present the token in ``file``."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables, or unset them, in this block; Ray's copies follow."""
    before = {name: os.environ.get(name) for name in changes}
    _apply(changes)
    try:
        yield
    finally:
        _apply(before)


def _apply(changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    reread_token_settings()
