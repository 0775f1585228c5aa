"""Copying a study from one storage to another, whole.

Optuna has no way to write a study in one step, so a copy bears a mark until it is whole and has
been read back. What was cut off can be told by the mark, and is begun again by the next copy.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from searchlab.errors import InfrastructureError, InputError, did_you_mean
from searchlab.study.locks.lease import LEASE
from searchlab.study.storages.bulk_writing import can_write_in_bulk, write_trials
from searchlab.study.storages.patient_storage import ORIGIN, PatientStorage

__all__ = [
    "COPYING",
    "CopyProgress",
    "StudyCopy",
    "check_target",
    "copy_study",
    "is_half_copied",
    "list_studies",
]

# A system attribute of the study: which copy is writing it, None once that is done. It cannot be
# taken away again, for Optuna has no call that does so.
COPYING = "searchlab:copying"

_MOST_CLOCK_SECONDS = 1.0  # MySQL keeps whole seconds

CopyProgress = Callable[[int, int], None]
"""Told how many of how many trials are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCopy:
    """What was copied: the study's name in its new place, and its trials by state."""

    study: str
    states: dict[str, int]

    @property
    def num_trials(self) -> int:
        """Trials of every state."""
        return sum(self.states.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    directions: Sequence[StudyDirection]
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]
    trials: list[FrozenTrial]


def copy_study(
    source: BaseStorage,
    target: BaseStorage,
    name: str,
    *,
    new_name: str | None = None,
    on_progress: CopyProgress | None = None,
) -> StudyCopy:
    """Copy a study with everything that Optuna keeps of it, and compare the copy with it.

    It may be running: the copy is the study as it stood at one moment, its trials in flight
    RUNNING. A copy that was cut off is begun again. Raises InputError where the study is not
    there or another of that name is, InfrastructureError where a storage is lost underway or the
    copy is not what was copied.
    """
    name_there = new_name or name
    snapshot = _read(source, name)
    try:
        study_id = _begin(target, name_there, snapshot)
        mark = uuid.uuid4().hex
        target.set_study_system_attr(study_id, COPYING, mark)
        _write(target, study_id, snapshot, on_progress)
        _verify(target, study_id, name_there, snapshot, mark)
        target.set_study_system_attr(study_id, COPYING, None)
    except (
        optuna.exceptions.StorageInternalError,
        sqlalchemy.exc.SQLAlchemyError,
        KeyError,  # the study was deleted meanwhile
    ) as error:
        raise InfrastructureError(
            f"the copy of study {name} was cut off ({type(error).__name__}): what was written is "
            "marked as half a copy. Copy again, it begins anew"
        ) from error
    states = Counter(trial.state.name for trial in snapshot.trials)
    return StudyCopy(study=name_there, states=dict(sorted(states.items())))


def list_studies(storage: BaseStorage) -> list[str]:
    """Return the names of a storage's studies, the oldest first; half copies are left out."""
    studies = sorted(storage.get_all_studies(), key=lambda study: study._study_id)
    return [study.study_name for study in studies if not study.system_attrs.get(COPYING)]


def is_half_copied(storage: BaseStorage, name: str) -> bool:
    """Whether a copy into this study is under way or was cut off; False where there is none."""
    study_id = _find(storage, name)
    return study_id is not None and bool(storage.get_study_system_attrs(study_id).get(COPYING))


def check_target(storage: BaseStorage, name: str) -> None:
    """Raise InputError where a study of that name is in the way of a copy."""
    study_id = _find(storage, name)
    if study_id is None or is_half_copied(storage, name) or _is_bare(storage, study_id):
        return
    raise _is_in_the_way(name)


def _is_in_the_way(name: str) -> InputError:
    return InputError(
        f"has a study named {name} already",
        where="the storage copied to",
        remedy="Nothing was changed. Copy to another storage, or delete that study first",
    )


# Reading


def _read(storage: BaseStorage, name: str) -> _Snapshot:
    study_id = _find(storage, name)
    if study_id is None:
        names = list_studies(storage)
        hint = did_you_mean(name, names) if names else "It holds none"
        raise InputError(
            f"holds no study named {name}", where="the storage copied from", remedy=hint
        )
    # Attributes before trials: a study noted as finished must not lack its last ones.
    user_attrs = dict(storage.get_study_user_attrs(study_id))
    system_attrs = dict(storage.get_study_system_attrs(study_id))
    if system_attrs.pop(COPYING, None):
        raise InputError(
            f"holds only a part of study {name}: the copy that made it was cut off",
            where="the storage copied from",
            remedy="Copy it there again first",
        )
    return _Snapshot(
        directions=storage.get_study_directions(study_id),
        user_attrs=user_attrs,
        system_attrs={k: v for k, v in system_attrs.items() if not _is_of_its_place(k)},
        trials=_numbered(storage.get_all_trials(study_id, deepcopy=False), name),
    )


def _find(storage: BaseStorage, name: str) -> int | None:
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        return None


def _is_of_its_place(key: str) -> bool:
    """Whether a study's attribute means nothing in another storage.

    A driver's lease, and the trials' ids by which Optuna's genetic samplers keep the parents of a
    generation; they choose them again where there are none.
    """
    return key == LEASE or ":parent:" in key


def _numbered(trials: list[FrozenTrial], name: str) -> list[FrozenTrial]:
    """Return the trials by number, as of one moment."""
    trials = sorted(trials, key=lambda trial: trial.number)
    stamps = Counter(trial.system_attrs.get(ORIGIN) for trial in trials)
    trials = [
        _settled(trial, is_alone=stamps[trial.system_attrs.get(ORIGIN)] == 1) for trial in trials
    ]
    if [trial.number for trial in trials] != list(range(len(trials))):
        # A storage numbers what is created in order, and no call sets a number.
        raise InputError(
            f"must number its trials from 0 without a gap, and study {name} does not",
            where="the storage copied from",
        )
    return trials


def _settled(trial: FrozenTrial, *, is_alone: bool) -> FrozenTrial:
    """Return a trial as it can be written: of one moment, and with a stamp of its own.

    One that ended while it was being read is RUNNING here and has no values yet. A storage makes
    one trial of each stamp, so those that share one, as trials taken up by a driver did, get
    their number added.
    """
    settled = copy.copy(trial)
    if not trial.state.is_finished():
        settled.values = None
    if not is_alone and ORIGIN in trial.system_attrs:
        stamp = f"{trial.system_attrs[ORIGIN]}-{trial.number}"
        settled._system_attrs = {**trial.system_attrs, ORIGIN: stamp}
    return settled


# Writing


def _begin(target: BaseStorage, name: str, snapshot: _Snapshot) -> int:
    """Return the id of an empty study of that name."""
    check_target(target, name)
    study_id = _find(target, name)
    if study_id is not None:
        if _is_bare(target, study_id):
            return _adopt(target, study_id, name, snapshot)
        target.delete_study(study_id)
    try:
        return target.create_new_study(snapshot.directions, name)
    except optuna.exceptions.DuplicatedStudyError:  # made by another since
        raise _is_in_the_way(name) from None


def _adopt(target: BaseStorage, study_id: int, name: str, snapshot: _Snapshot) -> int:
    """Take an empty study, which a copy that was killed at once leaves without a mark."""
    if target.get_study_directions(study_id) != snapshot.directions:
        raise _is_in_the_way(name)
    return study_id


def _is_bare(storage: BaseStorage, study_id: int) -> bool:
    """Whether nothing was ever written into a study."""
    return not (
        storage.get_study_user_attrs(study_id)
        or storage.get_study_system_attrs(study_id)
        or storage.get_all_trials(study_id, deepcopy=False)
    )


def _write(
    target: BaseStorage, study_id: int, snapshot: _Snapshot, on_progress: CopyProgress | None
) -> None:
    for key, value in snapshot.system_attrs.items():
        target.set_study_system_attr(study_id, key, value)
    for key, value in snapshot.user_attrs.items():
        target.set_study_user_attr(study_id, key, value)
    total = len(snapshot.trials)
    for done in _write_trials(target, study_id, snapshot.trials):
        if on_progress is not None:
            on_progress(done, total)


def _write_trials(
    target: BaseStorage, study_id: int, trials: Sequence[FrozenTrial]
) -> Iterator[int]:
    database = target.records if isinstance(target, PatientStorage) else target
    if isinstance(database, RDBStorage) and can_write_in_bulk(database):
        yield from write_trials(database, study_id, trials)
        return
    for trial in trials:
        target.create_new_trial(study_id, template_trial=trial)
        yield trial.number + 1


# Comparing


def _verify(target: BaseStorage, study_id: int, name: str, snapshot: _Snapshot, mark: str) -> None:
    """Raise InfrastructureError where the storage does not give back what was written."""
    system_attrs = dict(target.get_study_system_attrs(study_id))
    if system_attrs.pop(COPYING, None) != mark:
        raise _differs(name, "another copy writes the same study")
    attributes = [target.get_study_user_attrs(study_id), system_attrs]
    if _canonical(attributes) != _canonical([snapshot.user_attrs, snapshot.system_attrs]):
        raise _differs(name, "its attributes")
    written = target.get_all_trials(study_id, deepcopy=False)
    if len(written) != len(snapshot.trials):
        raise _differs(name, f"{len(written)} trials, not {len(snapshot.trials)}")
    by_number = sorted(written, key=lambda trial: trial.number)
    for before, after in zip(snapshot.trials, by_number, strict=True):
        if not _is_same(before, after):
            raise _differs(name, f"trial {before.number}")


def _differs(name: str, what: str) -> InfrastructureError:
    return InfrastructureError(
        f"the copy of study {name} is not what was copied: {what}. It is marked as half a copy; "
        "copy again, it begins anew"
    )


def _is_same(before: FrozenTrial, after: FrozenTrial) -> bool:
    return (
        _is_same_time(before.datetime_start, after.datetime_start)
        and _is_same_time(before.datetime_complete, after.datetime_complete)
        and _contents(before, before) == _contents(after, before)
    )


def _is_same_time(before: datetime | None, after: datetime | None) -> bool:
    if before is None or after is None:
        return before is after
    return abs((before - after).total_seconds()) < _MOST_CLOCK_SECONDS


def _contents(trial: FrozenTrial, original: FrozenTrial) -> str:
    """Return all but the times as text, in which NaN equals NaN."""
    system_attrs = dict(trial.system_attrs)
    if ORIGIN not in original.system_attrs:  # every trial that is created gets one
        system_attrs.pop(ORIGIN, None)
    return _canonical(
        [
            trial.number,
            trial.state.name,
            None if trial.values is None else list(trial.values),
            trial.params,
            {name: distribution_to_json(d) for name, d in trial.distributions.items()},
            trial.user_attrs,
            system_attrs,
            {str(step): value for step, value in trial.intermediate_values.items()},
        ]
    )


def _canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True)
