"""The file of an SQLite database: whether it is still the one that was opened.

SQLite writes on to a file that was deleted or replaced, and says nothing. So the file and its
write-ahead log are known by their places on the disk, and its content by a mark in its header,
which another study's file copied over it does not have.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from searchlab.errors import InfrastructureError

__all__ = ["DatabaseFile", "identify"]


class DatabaseFile:
    """An SQLite file as it was when a driver began to write to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identities = {path: identify(path)}  # before SQLite, which makes a file that is gone
        # Open as long as the study is driven, because the last connection deletes the log.
        self._connection = sqlite3.connect(path, check_same_thread=False)
        try:
            self._mark = self._require_mark()
            self._is_marked = self._read_mark() == self._mark
        except sqlite3.Error:  # a full or read-only disk, say: the next write names it
            self._mark, self._is_marked = 0, False
        log = path.with_name(f"{path.name}-wal")
        if log.exists():  # some file systems allow none
            self._identities[log] = identify(log)

    def _require_mark(self) -> int:
        """Return the database's mark; one that never had any gets one, which it keeps."""
        [(mark,)] = self._connection.execute("PRAGMA application_id")
        if not mark:
            mark = 1 + secrets.randbits(30)
            self._connection.execute(f"PRAGMA application_id = {mark}")
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # from the log into the file
        return int(mark)

    def _read_mark(self) -> int:
        """Return the mark in the file itself, which it has once the log was moved there."""
        # By SQLite, because whoever else closes the file drops the locks of this process on it;
        # immutable, so that it reads the file and not the log beside it.
        uri = f"{self._path.absolute().as_uri()}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            [(mark,)] = connection.execute("PRAGMA application_id")
        return int(mark)

    def check(self) -> None:
        """Raise InfrastructureError if the file or its log is gone, or is another one."""
        for file, identity in self._identities.items():
            try:
                found = identify(file)
            except FileNotFoundError:
                raise InfrastructureError(
                    f"{file}, which records the study, was deleted or moved away while it ran: "
                    "nothing more can be recorded. Put it back"
                ) from None
            except OSError as error:
                raise InfrastructureError(
                    f"{file}, which records the study, cannot be reached: {error.strerror}"
                ) from error
            if found != identity:
                raise _replaced(file)

    def check_content(self) -> None:
        """Raise InfrastructureError if another database was copied over this one."""
        self.check()
        try:
            found = self._read_mark()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise _replaced(self._path) from error
            return  # what the storage says of its own calls counts
        if found == self._mark:
            self._is_marked = True
        elif self._is_marked or found:
            raise _replaced(self._path)


def _replaced(file: Path) -> InfrastructureError:
    return InfrastructureError(
        f"{file}, which records the study, was replaced by another file while it ran: nothing more "
        "can be recorded. Put the first one back"
    )


def identify(path: Path) -> tuple[int, int]:
    """Return the place of a file or folder on its disk, which no other one has at the time."""
    status = path.stat()
    return status.st_dev, status.st_ino
