"""All that Optuna keeps of a study, as it stood at one moment, and how two of these compare."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from searchlab.errors import InputError
from searchlab.records.storage.fencing import TOKEN
from searchlab.records.trial_record import CREATED_BY

__all__ = [
    "StudyContents",
    "find_difference",
    "is_older_copy",
    "is_same_end",
    "read_contents",
    "select_portable",
]

_MAX_CLOCK_SECONDS = 1.0  # MySQL keeps whole seconds
# Study attributes that mean nothing in another storage: the fencing token; what earlier versions
# noted of a driver and of a copy under way.
_LOCAL = (TOKEN, "searchlab:lease", "searchlab:copying")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContents:
    """A study without its name; the trials are sorted by number."""

    directions: Sequence[StudyDirection]
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]
    trials: list[FrozenTrial]


def read_contents(storage: BaseStorage, name: str) -> StudyContents:
    """Return the contents of a study, which may be running.

    Raises InputError if its trials are not numbered from 0.
    """
    study_id = storage.get_study_id_from_name(name)
    # Attributes before trials: a study noted as finished must not lack its last ones.
    user_attrs = dict(storage.get_study_user_attrs(study_id))
    system_attrs = select_portable(storage.get_study_system_attrs(study_id))
    trials = storage.get_all_trials(study_id, deepcopy=False)
    trials = sorted(map(_at_one_moment, trials), key=lambda trial: trial.number)
    if [trial.number for trial in trials] != list(range(len(trials))):
        # A storage numbers trials in the order of their creation, and no call sets a number.
        raise InputError(
            f"must number its trials from 0 without a gap, and study {name} does not",
            where="the storage copied from",
        )
    return StudyContents(
        directions=storage.get_study_directions(study_id),
        user_attrs=user_attrs,
        system_attrs=system_attrs,
        trials=trials,
    )


def select_portable(system_attrs: dict[str, Any]) -> dict[str, Any]:
    """Return a study's system attributes without those that mean nothing in another storage.

    Optuna's genetic samplers note the parents of a generation by trial ids; they choose them again
    if there are none.
    """
    return {
        key: value
        for key, value in system_attrs.items()
        if key not in _LOCAL and ":parent:" not in key
    }


def _at_one_moment(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial without values if it is RUNNING: it ended while it was being read."""
    if trial.state.is_finished() or trial.values is None:
        return trial
    trial = copy.copy(trial)
    trial.values = None
    return trial


def find_difference(one: StudyContents, other: StudyContents) -> str | None:
    """Return what differs in two studies, or None if they are equal to the last bit."""
    attributes = [
        _to_canonical([of.user_attrs, of.system_attrs, [each.name for each in of.directions]])
        for of in (one, other)
    ]
    if attributes[0] != attributes[1]:
        return "its attributes"
    if len(one.trials) != len(other.trials):
        return f"{len(other.trials)} trials, not {len(one.trials)}"
    pairs = zip(one.trials, other.trials, strict=True)
    return next((f"trial {a.number}" for a, b in pairs if not _is_same_trial(a, b)), None)


def is_older_copy(older: StudyContents, newer: StudyContents) -> bool:
    """Return whether a study holds nothing that another, which went on since, does not hold.

    Each of its finished trials is there, equal; the others belong to the same driver still.
    """
    return (
        list(older.directions) == list(newer.directions)
        and older.user_attrs.keys() <= newer.user_attrs.keys()
        and older.system_attrs.keys() <= newer.system_attrs.keys()
        and len(older.trials) <= len(newer.trials)
        and all(map(_is_older_trial, older.trials, newer.trials))
    )


def _is_older_trial(older: FrozenTrial, newer: FrozenTrial) -> bool:
    if older.state.is_finished():
        return _is_same_trial(older, newer)
    return (
        older.number == newer.number
        and older.system_attrs.get(CREATED_BY) == newer.system_attrs.get(CREATED_BY)
        and older.params.items() <= newer.params.items()
        and older.intermediate_values.keys() <= newer.intermediate_values.keys()
    )


def _is_same_trial(one: FrozenTrial, other: FrozenTrial) -> bool:
    return (
        _is_same_time(one.datetime_start, other.datetime_start)
        and _is_same_time(one.datetime_complete, other.datetime_complete)
        and _describe(one) == _describe(other)
    )


def is_same_end(one: FrozenTrial, other: FrozenTrial) -> bool:
    """Return whether two trials ended at one moment in one state, as copies do."""
    return one.state == other.state and _is_same_time(
        one.datetime_complete, other.datetime_complete
    )


def _is_same_time(one: datetime | None, other: datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs((one - other).total_seconds()) < _MAX_CLOCK_SECONDS


def _describe(trial: FrozenTrial) -> str:
    """Return all but the times as text."""
    return _to_canonical(
        [
            trial.number,
            trial.state.name,
            None if trial.values is None else list(trial.values),
            trial.params,
            {name: distribution_to_json(d) for name, d in trial.distributions.items()},
            trial.user_attrs,
            trial.system_attrs,
            {str(step): value for step, value in trial.intermediate_values.items()},
        ]
    )


def _to_canonical(data: object) -> str:
    """Return plain data as text that is equal if the data are; NaN equals NaN."""
    return json.dumps(data, sort_keys=True)
