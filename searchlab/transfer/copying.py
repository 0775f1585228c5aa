"""Copying a study from one storage to another, whole: in one transaction, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy.orm
from optuna.storages import BaseStorage

from searchlab.errors import InfrastructureError, InputError, did_you_mean
from searchlab.records.optuna_internals import study_id_of
from searchlab.records.storage.faults import STORAGE_ERRORS, describe_cause
from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.transfer.contents import (
    StudyContents,
    find_difference,
    is_older_copy,
    read_contents,
)
from searchlab.transfer.study_rows import (
    CopyProgress,
    delete_rows,
    insert_rows,
    load_contents,
    lock_study,
)

__all__ = [
    "CopyProgress",
    "StudyCopy",
    "check_target",
    "copy_study",
    "list_studies",
    "refuse_existing",
    "write_study",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCopy:
    """What was copied: the study's name in its new place, and its trials by state."""

    study: str
    states: dict[str, int]

    @property
    def num_trials(self) -> int:
        """Trials of every state."""
        return sum(self.states.values())


def copy_study(
    source: BaseStorage,
    target: RetryingStorage,
    name: str,
    *,
    new_name: str | None = None,
    on_progress: CopyProgress | None = None,
) -> StudyCopy:
    """Copy a study with everything that Optuna keeps of it, and compare the copy with it.

    The study may be running: the copy is the study as it stood at one moment, its trials in flight
    RUNNING. An earlier copy of the same study is replaced if it holds nothing of its own.

    Raises InputError if the study is not there or another one of that name is in the way,
    InfrastructureError if the target fails or does not give back what was written. In each case
    nothing in the target has changed.
    """
    contents = _read(source, name)
    with _reporting_failures(name):
        return write_study(target, new_name or name, contents, on_progress=on_progress)


@contextmanager
def _reporting_failures(name: str) -> Iterator[None]:
    try:
        yield
    except STORAGE_ERRORS as error:
        raise InfrastructureError(
            f"the copy of study {name} was cut off: {describe_cause(error)}. A copy is written "
            "whole or not at all: run the command again"
        ) from error


def write_study(
    target: RetryingStorage,
    name: str,
    contents: StudyContents,
    *,
    on_progress: CopyProgress | None = None,
) -> StudyCopy:
    """Write a study under ``name``, in one transaction.

    Raises as ``copy_study``, but the target's own errors (``STORAGE_ERRORS``) if it fails.
    """
    with sqlalchemy.orm.Session(target.database.engine) as session, session.begin():
        _write(session, name, contents, on_progress)
    states = Counter(trial.state.name for trial in contents.trials)
    return StudyCopy(study=name, states=dict(sorted(states.items())))


def list_studies(storage: BaseStorage) -> list[str]:
    """Return the names of a storage's studies, the oldest first."""
    return [study.study_name for study in sorted(storage.get_all_studies(), key=study_id_of)]


def check_target(source: BaseStorage, target: RetryingStorage, name: str) -> None:
    """Raise as ``copy_study`` would, before anything is written."""
    if name in list_studies(target):
        contents = _read(source, name)
        with _reporting_failures(name), sqlalchemy.orm.Session(target.database.engine) as session:
            _find_earlier(session, name, contents)


def refuse_existing(target: BaseStorage, name: str) -> None:
    """Raise InputError if the target has a study of that name, a copy or not."""
    if name in list_studies(target):
        raise _is_in_the_way(name)


def _is_in_the_way(name: str) -> InputError:
    return InputError(
        f"has a study named {name} already",
        where="the storage copied to",
        remedy="Nothing was changed. Copy to another storage, or delete that study first",
    )


def _read(source: BaseStorage, name: str) -> StudyContents:
    names = list_studies(source)
    if name not in names:
        remedy = did_you_mean(name, names) if names else "It holds none"
        raise InputError(
            f"holds no study named {name}", where="the storage copied from", remedy=remedy
        )
    return read_contents(source, name)


def _write(
    session: sqlalchemy.orm.Session,
    name: str,
    contents: StudyContents,
    on_progress: CopyProgress | None,
) -> None:
    earlier = _find_earlier(session, name, contents)
    if earlier is not None:
        study_id, held = earlier
        if find_difference(contents, held) is None:
            return
        delete_rows(session, study_id)
    study_id = insert_rows(session, name, contents, on_progress)
    difference = find_difference(contents, load_contents(session, study_id))
    if difference is not None:
        raise InfrastructureError(
            f"the copy of study {name} is not what was copied: {difference}. Nothing was written"
        )


def _find_earlier(
    session: sqlalchemy.orm.Session, name: str, contents: StudyContents
) -> tuple[int, StudyContents] | None:
    """Return the id and the contents of an earlier copy, or None if no study has that name.

    Raises InputError if a study of that name is not an earlier copy of these contents.
    """
    study_id = lock_study(session, name)
    if study_id is None:
        return None
    held = load_contents(session, study_id)
    if not is_older_copy(held, contents):
        raise _is_in_the_way(name)
    return study_id, held
