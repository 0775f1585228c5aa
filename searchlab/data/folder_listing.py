"""What lies in a folder, without the leavings of operating systems and tools."""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Literal

from searchlab.errors import InputError

__all__ = ["FolderEntry", "exists", "is_file", "is_folder", "list_folder"]

_JUNK = (
    # macOS
    "__MACOSX", ".DS_Store", "._*", ".AppleDouble", ".apdisk", ".localized", "Icon\r",
    ".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems", ".DocumentRevisions-V100",
    # Windows
    "Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$RECYCLE.BIN",
    "System Volume Information",
    # Linux
    "lost+found", ".directory", ".Trash", ".Trash-*", ".thumbnails", ".nfs*", ".fuse_hidden*",
    # network storage
    "@eaDir", "@Recycle", "@Recently-Snapshot", "@SynoResource", "#recycle", "#snapshot",
    ".@__thumb", ".SynologyWorkingDirectory", ".snapshot",
    # tools
    ".git", ".gitignore", ".gitattributes", ".gitkeep", ".gitmodules", ".svn", ".hg", ".dvc",
    ".dvcignore", ".ipynb_checkpoints", "__pycache__", ".cache", ".idea", ".vscode", ".nomedia",
    ".picasa.ini", "Picasa.ini", ".picasaoriginals", ".dropbox*", ".stfolder", ".stignore",
)  # fmt: skip
_IS_JUNK = re.compile("|".join(map(translate, _JUNK)), re.IGNORECASE)

# What a link says that leads nowhere. Anything else is a fault of the file system.
_NOWHERE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG})


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderEntry:
    """A file, a folder, a link that leads nowhere, or another thing, such as a pipe.

    Links are followed. ``identity`` is the same for all ways to one file or folder.
    """

    path: Path
    kind: Literal["file", "folder", "broken link", "other"]
    num_bytes: int = 0
    mtime_ns: int = 0
    identity: tuple[int, int] = (0, 0)
    fault: str = ""

    @property
    def name(self) -> str:
        """The name in its folder."""
        return self.path.name

    @property
    def is_hidden(self) -> bool:
        """Whether its name begins with a dot."""
        return self.name.startswith(".")


def list_folder(folder: Path) -> list[FolderEntry]:
    """List a folder in the order of the names, without known junk.

    Raises ``InputError`` naming the path that cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not _IS_JUNK.match(entry.name)]
    except OSError as error:
        raise _unreadable(str(folder), error) from error
    return [_look_at(entry) for entry in sorted(found, key=lambda entry: entry.name)]


def _look_at(entry: os.DirEntry[str]) -> FolderEntry:
    path = Path(entry.path)
    try:
        status = entry.stat()
    except OSError as error:
        if error.errno in _NOWHERE and entry.is_symlink():
            return FolderEntry(path=path, kind="broken link", fault=str(error.strerror))
        raise _unreadable(entry.path, error) from error
    is_file, is_folder = stat.S_ISREG(status.st_mode), stat.S_ISDIR(status.st_mode)
    return FolderEntry(
        path=path,
        kind="file" if is_file else "folder" if is_folder else "other",
        num_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        identity=(status.st_dev, status.st_ino),
    )


def is_folder(path: Path) -> bool:
    """Return whether a folder is there. Raises ``InputError`` if that cannot be told."""
    return exists(path) and stat.S_ISDIR(path.stat().st_mode)


def is_file(path: Path) -> bool:
    """Return whether a file is there. Raises ``InputError`` if that cannot be told."""
    return exists(path) and stat.S_ISREG(path.stat().st_mode)


def exists(path: Path) -> bool:
    """Return whether a file or folder is there. Raises ``InputError`` if that cannot be told."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(str(path), error) from error
    return True


def _unreadable(path: str, error: OSError) -> InputError:
    if isinstance(error, PermissionError):
        return InputError("is not readable", where=path, remedy="Check its permissions")
    return InputError(f"cannot be read ({error.strerror})", where=path)
