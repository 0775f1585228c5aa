"""One driver a study and storage, unless they are joined: locks that die with their holder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from searchlab.errors import InputError
from searchlab.study.locks.drivers import LockTimes, SoleDriver, StudyLock, new_driver_id
from searchlab.study.storage.urls import find_sqlite_file, hide_password, is_postgres

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = [
    "LockTimes",
    "SoleDriver",
    "StudyLock",
    "hold_study",
    "is_driven_elsewhere",
    "new_driver_id",
]


@contextmanager
def hold_study(
    storage: BaseStorage,
    url: str,
    name: str,
    *,
    lock_file: Path,
    driver: str,
    shared: bool = False,
    times: LockTimes | None = None,
) -> Iterator[StudyLock]:
    """Hold the run folder's lock, and the study's in its storage, until the block ends.

    ``url`` names the storage that ``storage`` was opened from. SQLite has a file beside the
    database, PostgreSQL advisory locks on a connection of their own; every other storage, such as
    a gRPC proxy, has a lease alone, which is renewed in the background. Databases have a lease
    beside their locks, so that one study is not driven through two addresses. Files and advisory
    locks are free as soon as their holder is killed, a lease at once for a driver of the same host
    and after ``times.lease`` for others; one that stands for a lock counts only behind a proxy.

    Raises InputError where another driver holds the run or the study, or where ``shared`` is
    asked of a storage other than PostgreSQL; InfrastructureError where the lock's own connection
    to PostgreSQL cannot be made.
    """
    times = times or LockTimes()
    kind = _kind_of(url)
    if shared and kind != "postgresql":
        raise InputError(
            "--join needs PostgreSQL",
            found=hide_password(url),
            remedy="Name one with --storage postgresql+psycopg://user@host/name",
        )
    watch = f"Watch it with: searchlab study status {lock_file.parent}"
    with ExitStack() as stack:
        where = f"the run {lock_file.parent}"
        stack.enter_context(_hold_file(lock_file, times, where=where, remedy=watch))
        if kind == "postgresql":
            held = _hold_postgres(storage, url, name, driver=driver, shared=shared, times=times)
        elif kind == "sqlite":
            held = _hold_sqlite(storage, url, name, lock_file, driver=driver, times=times)
        else:
            from searchlab.study.locks.lease import hold_lease

            held = hold_lease(storage, name, driver=driver, times=times, url=url)
        yield stack.enter_context(held)


def is_driven_elsewhere(
    storage: BaseStorage, url: str, name: str, *, lock_file: Path, times: LockTimes | None = None
) -> bool:
    """Whether a driver holds the study in its storage, be it on another machine.

    ``lock_file`` is not looked at. Raises InfrastructureError where PostgreSQL is away.
    """
    kind = _kind_of(url)
    if kind == "postgresql" and _is_locked_in_postgres(url, name):
        return True
    if kind == "sqlite":
        path = database_lock(url, name, lock_file)
        if path is not None and path.exists() and _is_locked(path):
            return True
    from searchlab.study.locks.lease import is_leased

    # Of direct drivers the locks above tell more: a killed one's lease is fresh for a while.
    is_direct = kind in ("postgresql", "sqlite")
    return is_leased(storage, name, times or LockTimes(), but_direct=is_direct)


def _kind_of(url: str) -> str:
    return "postgresql" if is_postgres(url) else url.partition(":")[0].partition("+")[0]


@contextmanager
def _hold_postgres(
    storage: BaseStorage, url: str, name: str, *, driver: str, shared: bool, times: LockTimes
) -> Iterator[StudyLock]:
    from searchlab.study.locks.advisory_lock import hold_advisory_lock
    from searchlab.study.locks.direct_lease import DirectLease, LeasedLock
    from searchlab.study.storage.retrying_storage import RetryingStorage

    lease = DirectLease(
        storage,
        name,
        driver=driver,
        times=times,
        url=url,
        shared=shared,
        is_locked=lambda: _is_locked_in_postgres(url, name),
    )
    records = storage.records if isinstance(storage, RetryingStorage) else None
    with ExitStack() as stack:
        stack.callback(lease.end)  # after the lock's end: the last of joined drivers sees it free
        lock = hold_advisory_lock(
            url, name, driver=driver, shared=shared, times=times, records=records
        )
        held = LeasedLock(stack.enter_context(lock), lease)
        stack.callback(lease.rest)
        lease.begin()
        yield held


def _is_locked_in_postgres(url: str, name: str) -> bool:
    from searchlab.study.locks.advisory_lock import is_study_locked

    return is_study_locked(url, name)


@contextmanager
def _hold_sqlite(
    storage: BaseStorage, url: str, name: str, lock_file: Path, *, driver: str, times: LockTimes
) -> Iterator[StudyLock]:
    database = find_sqlite_file(url)
    if database is None:  # in memory: nobody else can reach it
        yield SoleDriver(driver)
        return
    from searchlab.study.locks.direct_lease import DirectLease

    lease = DirectLease(storage, name, driver=driver, times=times, url=url, database=database)
    with _hold_database(url, name, lock_file, times):
        lease.begin()
        try:
            yield lease
        finally:
            lease.end()


@contextmanager
def _hold_database(url: str, name: str, lock_file: Path, times: LockTimes) -> Iterator[None]:
    path = database_lock(url, name, lock_file)
    if path is None:
        yield
        return
    elsewhere = "Another run folder drives it: wait for it to end, or give the study another name"
    with _hold_file(path, times, where=f"the study {name} in {url}", remedy=elsewhere):
        yield


def database_lock(url: str, name: str, lock_file: Path) -> Path | None:
    """Return the file whose lock stands for a study in an SQLite database.

    None where the run folder's own lock does: the database lies in it, or in memory.
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


@contextmanager
def _hold_file(path: Path, times: LockTimes, *, where: str, remedy: str) -> Iterator[None]:
    lock = filelock.FileLock(path, timeout=times.acquire)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError("is being run by another process", where=where, remedy=remedy) from None
    except OSError as error:
        raise InputError(
            f"cannot be locked by {path}: {error.strerror}",
            where=where,
            remedy="Choose a place that can be written, on a file system with locks",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _is_locked(path: Path) -> bool:
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    except OSError:
        return False  # another user's file: nobody who could drive it here
    lock.release()
    return False
