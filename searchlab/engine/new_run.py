"""Making a run's folder so that a study that cannot begin leaves nothing behind.

Only what holds no trial is taken back, file by file: whatever else is in the folder stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study

from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.trial_record import CREATED_BY, owner_of

__all__ = ["delete_if_unused", "holds_study", "new_run_folder"]


@contextmanager
def new_run_folder(run: RunFolder) -> Iterator[None]:
    """Make the run folder; remove it again if the block ends before a study was begun in it."""
    missing = [folder for folder in (run.path, *run.path.parents) if not folder.exists()]
    try:
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run.lock_file.touch()
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}",
                where=f"the run folder {run.path}",
                remedy="Choose another place with --runs-dir",
            ) from error
        yield
    finally:
        if run.path in missing and not run.exists() and not holds_study(run):
            with suppress(OSError):  # another run may be in there by now
                _remove_empty(run)
                for folder in missing[1:]:
                    folder.rmdir()


def holds_study(run: RunFolder) -> bool:
    """Return whether the folder's own database, or the one it names, has its study."""
    if not run.database.is_file():
        return run.has_record and not run.is_pending
    try:
        with closing(sqlite3.connect(run.database)) as connection:
            [(number,)] = connection.execute("SELECT count(*) FROM studies")
    except sqlite3.Error as error:
        return "no such table" not in str(error)  # if in doubt, it does
    return bool(number)


def _remove_empty(run: RunFolder) -> None:
    """Remove what a driver made before there was a study, and the folder if nothing is left."""
    run.discard()
    for path in (run.lock_file, *run.path.glob(f"{run.database.name}*")):
        path.unlink(missing_ok=True)
    for folder in (run.checkpoints, run.path):
        with suppress(FileNotFoundError):
            folder.rmdir()


def delete_if_unused(
    run: RunFolder, study: Study | None, storage: BaseStorage, *, driver: str, is_joined: bool
) -> None:
    """Delete what a driver wrote of a study that has no trial, or to which it added none.

    The same command can then be given again, with the same name and storage, when the input is
    right. A study that others may share by now stays in its storage; joining it again finds it.
    """
    trials = [] if study is None else study.get_trials(deepcopy=False)
    if is_joined:
        owners = (owner_of(trial.system_attrs.get(CREATED_BY)) for trial in trials)
        is_used = driver in owners
    else:
        is_used = bool(trials)
    if is_used:
        return
    if study is not None and not is_joined:
        optuna.delete_study(study_name=study.study_name, storage=storage)
    run.discard()
