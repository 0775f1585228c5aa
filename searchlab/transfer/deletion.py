"""Deleting a study: first what its storage holds, then what searchlab wrote in its run folder."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import InfrastructureError, InputError
from searchlab.records.locks.drivers import LockTimes, new_driver_id
from searchlab.records.locks.file_lock import hold_file
from searchlab.records.locks.study_lock import hold_study
from searchlab.records.recorded_run import named_otherwise, open_run_storage
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.urls import hide_password
from searchlab.transfer.copying import list_studies
from searchlab.transfer.relocation import SET_ASIDE

if TYPE_CHECKING:
    from searchlab.records.storage.retrying_storage import RetryingStorage

__all__ = ["Deletion", "delete_run"]

# There from before the study leaves a shared storage until the folder is gone. It tells a deletion
# that was cut off in between from a storage that never held the study.
_MARK = ".deleting"
_DATABASE = ("study.db", "study.db-wal", "study.db-shm", "study.db-journal")
# The study's file last: while it is there, the deletion can be begun again.
_FILES = (
    "report.html",
    ".pending",
    "storage.json",
    "storage.json.tmp",
    "study.yaml.tmp",
    "study.yaml",
)
_FILES_OF_FOLDERS = {
    Path("checkpoints"): "trial-*",
    Path("artifacts") / "models": "trial-*",
    Path("artifacts") / "diagnostics": "*.json",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What is gone, and ``left``, the files of the run folder that are not searchlab's."""

    study: str
    storage_url: str
    left: tuple[Path, ...]


def delete_run(
    run: RunFolder, *, storage_option: str | None = None, keep_storage: bool = False
) -> Deletion:
    """Delete a study from its storage and its run folder; ``keep_storage`` spares the former.

    Raises InputError, with nothing deleted, if a driver runs it, or if the storage does not hold
    it; as ``open_run_storage``; and InfrastructureError if a file cannot be deleted. A deletion
    that was cut off can be repeated.
    """
    name = run.load().spec.name
    _check_storage(run, storage_option, keep_storage)
    url = run.storage_url(storage_option)
    is_embedded = run.is_embedded()
    is_recorded = run.database.is_file() if is_embedded else not keep_storage
    storage = None
    if is_recorded:
        storage = open_run_storage(run, url, is_named=storage_option is not None)
        _check_recorded(run, storage, name, url)
    with _hold(run, storage, name, url):
        try:
            is_alone = storage is None or _delete_recorded(run, storage, name)
            _delete_files(run, with_database=is_embedded and is_alone)
            run.lock_file.unlink(missing_ok=True)
        except OSError as error:
            raise InfrastructureError(
                f"{error.filename or run.path} cannot be deleted: {error.strerror or error}. Once "
                "it can, run the command again"
            ) from error
    _delete_empty(run)
    left = [path for path in sorted(run.path.rglob("*")) if path.is_symlink() or path.is_file()]
    return Deletion(study=name, storage_url=url, left=tuple(left))


def _check_storage(run: RunFolder, option: str | None, keep_storage: bool) -> None:
    if not run.is_embedded():
        return
    if option is not None:
        # Perhaps set for other studies; one of this name there may be somebody else's.
        raise InputError(
            f"is recorded in its own folder, not in {hide_password(option)}",
            where=f"the run {run.path}",
            remedy="Omit --storage and unset SEARCHLAB_STORAGE",
        )
    if keep_storage:
        raise InputError(
            "cannot spare the storage of a run that is recorded in its own folder",
            where="--keep-storage",
            found=str(run.path),
        )


def _check_recorded(run: RunFolder, storage: RetryingStorage, name: str, url: str) -> None:
    names = list_studies(storage)
    if name in names or (run.path / _MARK).exists():
        return
    if run.is_embedded():
        if run.path.name in names:
            raise named_otherwise(run, name)
        return  # it was killed before its study was made, or the study was deleted already
    raise InputError(
        f"holds no study named {name}",
        where=hide_password(url),
        remedy="Name its storage with --storage, or delete only the folder with --keep-storage",
    )


def _delete_recorded(run: RunFolder, storage: RetryingStorage, name: str) -> bool:
    """Delete the study from its storage; return whether the storage holds no other."""
    names = {*list_studies(storage)}
    is_alone = names <= {name}
    if run.is_embedded() and is_alone:
        return True  # it goes with the file
    (run.path / _MARK).touch()
    if name in names:
        storage.delete_study(storage.get_study_id_from_name(name))
    return is_alone


def _delete_files(run: RunFolder, *, with_database: bool) -> None:
    for folder, pattern in _FILES_OF_FOLDERS.items():
        if _is_linked(run, folder):
            continue
        for path in (run.path / folder).glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    if run.trackers.is_dir() and not run.trackers.is_symlink():
        shutil.rmtree(run.trackers)
    for path in run.path.glob(f"{SET_ASIDE}*"):
        path.unlink()
    for name in (*(_DATABASE if with_database else ()), *_FILES, _MARK):
        (run.path / name).unlink(missing_ok=True)


def _is_linked(run: RunFolder, folder: Path) -> bool:
    """Return whether a folder of the run is elsewhere: its files may not be the run's."""
    return any((run.path / part).is_symlink() for part in (folder, *folder.parents[:-1]))


def _delete_empty(run: RunFolder) -> None:
    """Delete the folders that are empty now, the inner ones first."""
    for folder in (*_FILES_OF_FOLDERS, Path("artifacts"), Path()):
        with suppress(OSError):  # not there, not empty, or a link to a folder elsewhere
            (run.path / folder).rmdir()


def _hold(
    run: RunFolder, storage: RetryingStorage | None, name: str, url: str
) -> AbstractContextManager[object]:
    """Hold what a driver would hold. Raises InputError if one does."""
    if not os.access(run.path, os.W_OK):
        raise InputError("cannot be written", where=f"the run folder {run.path}")
    if storage is not None:
        return hold_study(storage, url, name, lock_file=run.lock_file, driver=new_driver_id())
    return hold_file(
        run.lock_file,
        seconds=LockTimes().acquire,
        where=f"the run {run.path}",
        remedy="Stop it first: Ctrl-C or SIGTERM, it ends within seconds",
    )
