"""A run folder and the storage that records its study: whether they still belong together."""

from __future__ import annotations

import logging
from contextlib import closing

import optuna

from searchlab.errors import InfrastructureError, InputError
from searchlab.records.recorded_spec import read_recorded
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage
from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.records.storage.urls import find_sqlite_file, hide_password
from searchlab.records.trial_record import SPEC

__all__ = [
    "check_named",
    "check_recorded",
    "named_otherwise",
    "open_run_storage",
    "restore_study_file",
]

logger = logging.getLogger(__name__)


def check_recorded(run: RunFolder, option: str | None) -> None:
    """Raise if the study's database was a file and is gone: opening it would make an empty one.

    That is InputError if the user named it by ``option``, else InfrastructureError.
    """
    path = find_sqlite_file(run.storage_url(option))
    if run.is_pending or path is None or (path.is_file() and path.stat().st_size > 0):
        return
    what = "is empty" if path.exists() else "does not exist"
    if option is not None:
        raise InputError(
            f"{what}: it holds no study", where=str(path), remedy="Name the study's own storage"
        )
    raise InfrastructureError(
        f"{path}, which recorded the study of {run.path}, {what}. No new study was begun: restore "
        f"it from a backup, or delete the folder and run the study again"
    )


def open_run_storage(
    run: RunFolder, url: str, *, is_named: bool, driver: str | None = None
) -> RetryingStorage:
    """Open the storage of a run; if the user did not name it now, a failure is the machine's."""
    try:
        return open_storage(url, driver=driver)
    except InputError as error:
        if is_named:
            raise
        raise InfrastructureError(
            f"{hide_password(url)}, which records the study of {run.path}, {error.rule}. Restore "
            "it, or name the study's own storage with --storage"
        ) from error


def check_named(run: RunFolder, name: str, storage: RetryingStorage, option: str | None) -> None:
    """Raise if the storage does not hold the study of a run: a resume makes none.

    InputError if the user named another storage or changed the study's name, else
    InfrastructureError.
    """
    names = sorted(optuna.get_all_study_names(storage))
    if name in names:
        return
    holds = f"holds {', '.join(names[:3])}" if names else "holds no study"
    if option is not None:
        raise InputError(
            f"has no study named {name}; it {holds}",
            where=hide_password(option),
            remedy="If the study was moved, name its storage with --storage",
        )
    where = hide_password(run.storage_url())
    if run.path.name in names:
        raise named_otherwise(run, name)
    raise InfrastructureError(
        f"the study {name} is no longer in {where}, which {holds}: it was deleted there, or "
        "another database took its place. No new study was begun: restore the storage, or delete "
        f"the folder {run.path} and run the study again"
    )


def named_otherwise(run: RunFolder, name: str) -> InputError:
    """Return the error of a file whose ``name`` is not that of the study begun in its folder."""
    return InputError(
        f"names the study {name}, but the one that was begun here is {run.path.name}",
        where=str(run.study_file),
        remedy="Restore the name, or run the study of a copy of the file",
    )


def restore_study_file(run: RunFolder, option: str | None) -> None:
    """Write a run's lost study.yaml again from the study's record."""
    url = run.storage_url(option)
    with closing(open_run_storage(run, url, is_named=option is not None)) as storage:
        names = optuna.get_all_study_names(storage)
        name = names[0] if len(names) == 1 else run.path.name
        study = optuna.load_study(study_name=name, storage=storage) if name in names else None
    text = None if study is None else study.user_attrs.get(SPEC)
    recorded = read_recorded(text, name=name)
    if recorded is None:
        raise InfrastructureError(
            f"{run.study_file} is gone, and the storage has no record of it. Put back the study "
            "as it was run"
        )
    logger.warning("%s is gone; writing it again from the study's record", run.study_file)
    run.write(recorded.to_data())
