"""The user as Python and libraries ask for them, also where the system has no such user.

A container may run under a number that no file knows, without a home folder.
"""

from __future__ import annotations

import os
import pwd
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["name_the_nameless"]


def name_the_nameless() -> None:
    """Give this process, and those that it starts, a user name and a home folder if it has none.

    The home is a private folder under the temporary one, the same for each command of that user.
    """
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        pass
    else:
        return
    name = f"user-{os.getuid()}"
    os.environ.setdefault("USER", name)
    os.environ.setdefault("LOGNAME", name)
    if not _is_usable(os.environ.get("HOME")):
        os.environ["HOME"] = str(_make_home(name))


def _is_usable(home: str | None) -> bool:
    return home is not None and Path(home).is_absolute() and os.access(home, os.W_OK)


def _make_home(name: str) -> Path:
    home = Path(tempfile.gettempdir()) / f"searchlab-{name}"
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    is_ours = home.is_dir() and not home.is_symlink() and home.stat().st_uid == os.getuid()
    if not is_ours:  # somebody else was there first
        return Path(tempfile.mkdtemp(prefix=f"searchlab-{name}-"))
    return home
