"""Making a run's folder so that a study that cannot begin leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study

from searchlab.errors import InputError
from searchlab.study.run_folder import RunFolder
from searchlab.study.storage.retrying_storage import CREATED_BY
from searchlab.study.trial_queue import owner_of

__all__ = ["delete_if_unused", "new_run_folder"]


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
        if run.path in missing and not run.exists():
            shutil.rmtree(run.path, ignore_errors=True)
            with suppress(OSError):  # another run may be in there by now
                for folder in missing[1:]:
                    folder.rmdir()


def delete_if_unused(
    run: RunFolder, study: Study | None, storage: BaseStorage, *, driver: str, is_joined: bool
) -> None:
    """Delete what a driver wrote of a study in which it began no trial.

    The same command can then be given again, with the same name and storage, when the input is
    right. A study that others may share by now stays in its storage; joining it again finds it.
    """
    if study is not None:
        creators = (
            owner_of(trial.system_attrs.get(CREATED_BY))
            for trial in study.get_trials(deepcopy=False)
        )
        if driver in creators:
            return
        if not is_joined:
            optuna.delete_study(study_name=study.study_name, storage=storage)
    run.discard()
