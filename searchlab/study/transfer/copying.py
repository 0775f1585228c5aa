"""Copying a study from one storage to another, whole.

Optuna has no way to write a study in one step, so a copy bears a mark until it is whole and has
been read back. What was cut off can be told by the mark, and is begun again by the next copy.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from searchlab.errors import InfrastructureError, InputError, did_you_mean
from searchlab.study.locks.lease import LEASE
from searchlab.study.storage.bulk_writing import (
    can_write_in_bulk,
    write_study_attributes,
    write_trials,
)
from searchlab.study.storage.fencing import TURN
from searchlab.study.storage.retrying_storage import CREATED_BY
from searchlab.study.transfer.comparing import is_same_trial, to_canonical
from searchlab.study.transfer.copy_mark import COPYING, CopyMark, database_of, displaced

__all__ = [
    "COPYING",
    "CopyProgress",
    "StudyCopy",
    "check_target",
    "copy_study",
    "is_half_copied",
    "list_studies",
]

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
    RUNNING. A copy that was cut off is begun again; if it still runs, that one stops. Raises
    InputError where the study is not there or another of that name is, InfrastructureError where
    a storage is lost underway, another copy takes this one's place, or the copy is not what was
    copied.
    """
    name_there = new_name or name
    snapshot = _read(source, name)
    try:
        study_id, mark = _begin(target, name_there, snapshot)
        _write(target, study_id, snapshot, mark, on_progress)
        _verify(target, study_id, name_there, snapshot, mark)
        mark.take_off()
    except KeyError as error:  # the study was deleted meanwhile
        raise displaced(name_there) from error
    except (
        optuna.exceptions.StorageInternalError,
        sqlalchemy.exc.SQLAlchemyError,
    ) as error:
        raise InfrastructureError(
            f"the copy of study {name} was cut off ({type(error).__name__}). What was written is "
            "marked as half a copy: try again, it begins anew"
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
    system_attrs = _read_system_attrs(storage, study_id)
    if system_attrs.pop(COPYING, None):
        raise InputError(
            f"holds only a part of study {name}: the copy that made it was cut off",
            where="the storage copied from",
            remedy="Copy it there again first",
        )
    return _Snapshot(
        directions=storage.get_study_directions(study_id),
        user_attrs=user_attrs,
        system_attrs=system_attrs,
        trials=_numbered(storage.get_all_trials(study_id, deepcopy=False), name),
    )


def _find(storage: BaseStorage, name: str) -> int | None:
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        return None


def _read_system_attrs(storage: BaseStorage, study_id: int) -> dict[str, Any]:
    """Return a study's attributes, but for those that mean nothing in another storage.

    A driver's lease and turn, and the trials' ids by which Optuna's genetic samplers keep the
    parents of a generation; they choose them again where there are none.
    """
    return {
        key: value
        for key, value in storage.get_study_system_attrs(study_id).items()
        if key not in (LEASE, TURN) and ":parent:" not in key
    }


def _numbered(trials: list[FrozenTrial], name: str) -> list[FrozenTrial]:
    """Return the trials by number, as of one moment."""
    trials = sorted(trials, key=lambda trial: trial.number)
    stamps = Counter(trial.system_attrs.get(CREATED_BY) for trial in trials)
    trials = [
        _settled(trial, is_alone=stamps[trial.system_attrs.get(CREATED_BY)] == 1)
        for trial in trials
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
    if not is_alone and CREATED_BY in trial.system_attrs:
        stamp = f"{trial.system_attrs[CREATED_BY]}-{trial.number}"
        settled._system_attrs = {**trial.system_attrs, CREATED_BY: stamp}
    return settled


# Writing


def _begin(target: BaseStorage, name: str, snapshot: _Snapshot) -> tuple[int, CopyMark]:
    """Return the id of an empty study of that name, and the mark that it bears."""
    check_target(target, name)
    study_id = _find(target, name)
    if study_id is not None:
        if _is_bare(target, study_id):
            return _adopt(target, study_id, name, snapshot)
        _delete_half(target, study_id, name)
    try:
        return _mark(target, target.create_new_study(snapshot.directions, name), name)
    except optuna.exceptions.DuplicatedStudyError:  # made by another since
        raise _is_in_the_way(name) from None


def _mark(target: BaseStorage, study_id: int, name: str) -> tuple[int, CopyMark]:
    mark = CopyMark(target, study_id, name)
    mark.put()
    return study_id, mark


def _adopt(
    target: BaseStorage, study_id: int, name: str, snapshot: _Snapshot
) -> tuple[int, CopyMark]:
    """Take an empty study, which a copy that was killed at once leaves without a mark."""
    if target.get_study_directions(study_id) != snapshot.directions:
        raise _is_in_the_way(name)
    return _mark(target, study_id, name)


def _delete_half(target: BaseStorage, study_id: int, name: str) -> None:
    """Delete half a copy, whose writer may only be slow and writes nothing more from here on."""
    earlier = target.get_study_system_attrs(study_id).get(COPYING)
    if not earlier:
        raise _is_in_the_way(name)  # it has become whole since
    CopyMark(target, study_id, name).put_instead_of(earlier)
    target.delete_study(study_id)


def _is_bare(storage: BaseStorage, study_id: int) -> bool:
    """Whether nothing was ever written into a study."""
    return not (
        storage.get_study_user_attrs(study_id)
        or _read_system_attrs(storage, study_id)
        or storage.get_all_trials(study_id, deepcopy=False)
    )


def _write(
    target: BaseStorage,
    study_id: int,
    snapshot: _Snapshot,
    mark: CopyMark,
    on_progress: CopyProgress | None,
) -> None:
    _write_attributes(target, study_id, snapshot, mark)
    total = len(snapshot.trials)
    for done in _write_trials(target, study_id, snapshot.trials, mark):
        if on_progress is not None:
            on_progress(done, total)


def _write_attributes(
    target: BaseStorage, study_id: int, snapshot: _Snapshot, mark: CopyMark
) -> None:
    database = database_of(target)
    if database is not None:
        attributes = {"user": snapshot.user_attrs, "system": snapshot.system_attrs}
        write_study_attributes(database, study_id, **attributes, first=mark.hold)
        return
    for key, value in snapshot.system_attrs.items():
        mark.check()
        target.set_study_system_attr(study_id, key, value)
    for key, value in snapshot.user_attrs.items():
        mark.check()
        target.set_study_user_attr(study_id, key, value)


def _write_trials(
    target: BaseStorage, study_id: int, trials: Sequence[FrozenTrial], mark: CopyMark
) -> Iterator[int]:
    database = database_of(target)
    if database is not None and can_write_in_bulk(database):
        yield from write_trials(database, study_id, trials, first=mark.hold)
        return
    for trial in trials:
        mark.check()
        target.create_new_trial(study_id, template_trial=trial)
        yield trial.number + 1


# Comparing


def _verify(
    target: BaseStorage, study_id: int, name: str, snapshot: _Snapshot, mark: CopyMark
) -> None:
    """Raise InfrastructureError where the storage does not give back what was written."""
    mark.check()
    system_attrs = _read_system_attrs(target, study_id)
    system_attrs.pop(COPYING, None)
    attributes = [target.get_study_user_attrs(study_id), system_attrs]
    if to_canonical(attributes) != to_canonical([snapshot.user_attrs, snapshot.system_attrs]):
        raise _differs(name, "its attributes")
    written = target.get_all_trials(study_id, deepcopy=False)
    if len(written) != len(snapshot.trials):
        raise _differs(name, f"{len(written)} trials, not {len(snapshot.trials)}")
    by_number = sorted(written, key=lambda trial: trial.number)
    for before, after in zip(snapshot.trials, by_number, strict=True):
        if not is_same_trial(before, after):
            raise _differs(name, f"trial {before.number}")


def _differs(name: str, what: str) -> InfrastructureError:
    return InfrastructureError(
        f"the copy of study {name} is not what was copied: {what}. It is marked as half a copy: "
        "try again, it begins anew"
    )
