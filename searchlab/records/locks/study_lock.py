"""One driver a study and storage, unless drivers join: locks that end with their holder."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import InputError
from searchlab.records.locks.drivers import LockTimes, SoleDriver, StudyLock
from searchlab.records.locks.file_lock import hold_file, is_file_held
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.urls import find_sqlite_file, hide_password, is_postgres

if TYPE_CHECKING:
    from searchlab.records.storage.retrying_storage import RetryingStorage

__all__ = ["hold_study", "is_driven"]

logger = logging.getLogger(__name__)


@contextmanager
def hold_study(
    storage: RetryingStorage,
    url: str,
    name: str,
    *,
    lock_file: Path,
    driver: str,
    shared: bool = False,
    times: LockTimes | None = None,
) -> Iterator[StudyLock]:
    """Hold the run folder's lock, and the study's in its storage, until the block ends.

    ``url`` names the database that ``storage`` was opened from. SQLite has a file beside the
    database, PostgreSQL advisory locks on a connection of their own; both are free as soon as
    their holder is killed. Other databases have no lock: a warning says so.

    Raises InputError if another driver holds the run or the study, or if ``shared`` is asked of a
    storage other than PostgreSQL; InfrastructureError if the lock cannot connect to PostgreSQL.
    """
    times = times or LockTimes()
    if shared and not is_postgres(url):
        raise InputError(
            "--join needs PostgreSQL",
            found=hide_password(url),
            remedy="Name one with --storage postgresql+psycopg://user@host/name",
        )
    with hold_file(
        lock_file,
        seconds=times.acquire,
        where=f"the run {lock_file.parent}",
        remedy=f"Watch it with: {RunFolder(lock_file.parent).command('study', 'status')}",
    ):
        if is_postgres(url):
            from searchlab.records.locks.advisory_lock import AdvisoryLock

            with AdvisoryLock(
                url, name, driver=driver, shared=shared, times=times, database=storage.database
            ) as lock:
                yield lock
        else:
            with _hold_database(url, name, lock_file, times):
                yield SoleDriver(driver)


def _hold_database(
    url: str, name: str, lock_file: Path, times: LockTimes
) -> AbstractContextManager[None]:
    path = database_lock(url, name, lock_file)
    if path is not None:
        return hold_file(
            path,
            seconds=times.acquire,
            where=f"the study {name} in {hide_password(url)}",
            remedy="Another run folder drives it: wait for it to end, or give the study another "
            "name",
        )
    if not url.startswith("sqlite"):
        logger.warning(
            "Only SQLite and PostgreSQL have locks: do not run the study %s in %s from another "
            "run folder",
            name,
            hide_password(url),
        )
    return nullcontext()


def is_driven(url: str, name: str, *, lock_file: Path) -> bool:
    """Return whether a driver holds the run folder, or the study in its storage.

    That driver may be on another machine. Raises InfrastructureError if PostgreSQL is unreachable.
    """
    if is_file_held(lock_file):
        return True
    if is_postgres(url):
        from searchlab.records.locks.advisory_session import is_lock_held

        return is_lock_held(url, "study", name)
    path = database_lock(url, name, lock_file)
    return path is not None and is_file_held(path)


def database_lock(url: str, name: str, lock_file: Path) -> Path | None:
    """Return the file whose lock stands for a study in an SQLite database.

    None if the run folder's own lock does, because the database is in the folder or in memory, and
    for other databases.
    """
    found = find_sqlite_file(url)
    if found is None:
        return None
    database = found.resolve()
    if database.parent == lock_file.parent.resolve():
        return None
    embedded = database.with_name(lock_file.name)
    if database.parent.name == name and embedded.exists():
        return embedded  # the database of another run folder, whose own driver holds this lock
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return database.with_name(f".{database.name}.{slug}.lock")
