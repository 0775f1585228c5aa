"""Making a run's folder so that nothing half-written is left where a study cannot begin."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import optuna
from optuna.study import Study

from searchlab.errors import InputError
from searchlab.study.run_folder import RunFolder
from searchlab.study.storage.retrying_storage import CREATED_BY
from searchlab.study.trial_queue import owner_of

__all__ = ["Beginning", "check_new", "made", "undone_on_input_error"]


def check_new(run: RunFolder) -> None:
    """Raise InputError where a study was begun in the folder before."""
    if run.exists():
        raise InputError(
            "exists already",
            where=f"the run {run.path}",
            remedy=f"Carry on with: searchlab study resume {run.path}. "
            "Or run it under another name: --set name=...",
        )


@contextmanager
def made(run: RunFolder) -> Iterator[None]:
    """Make the run folder; on an error before the study was begun, leave none behind."""
    before = [folder for folder in (run.path, *run.path.parents) if not folder.exists()]
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
        if run.path in before and not run.exists():
            shutil.rmtree(run.path, ignore_errors=True)
            with suppress(OSError):  # another run may lie in there by now
                for folder in before[1:]:
                    folder.rmdir()


@dataclass(slots=True, kw_only=True)
class Beginning:
    """What of a new run there is to take back: its study, once it is there, and whose it is."""

    study: Study | None = None
    is_joined: bool
    driver: str

    @property
    def has_trials(self) -> bool:
        """Whether this driver began a trial, after which nothing is taken back."""
        if self.study is None:
            return False
        return any(
            owner_of(trial.system_attrs.get(CREATED_BY)) == self.driver
            for trial in self.study.get_trials(deepcopy=False)
        )


@contextmanager
def undone_on_input_error(run: RunFolder, beginning: Beginning) -> Iterator[None]:
    """Take back what a study wrote of itself where it cannot begin.

    So that the same command can be given again once the input is right, with the same name and
    storage. A study that others may share by now stays; joining it again finds it.
    """
    try:
        yield
    except InputError:
        if beginning.has_trials:
            raise
        study = beginning.study
        if study is not None and not beginning.is_joined:
            optuna.delete_study(study_name=study.study_name, storage=study._storage)
        run.discard()
        raise
