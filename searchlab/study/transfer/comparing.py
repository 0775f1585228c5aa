"""Whether a trial in one storage is a trial in another, to the last bit but for its times."""

from __future__ import annotations

import json
from datetime import datetime

from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial

from searchlab.study.storage.retrying_storage import CREATED_BY

__all__ = ["is_same_end", "is_same_trial", "to_canonical"]

_MAX_CLOCK_SECONDS = 1.0  # MySQL keeps whole seconds


def is_same_trial(before: FrozenTrial, after: FrozenTrial) -> bool:
    """Whether a storage gave back the trial that was written."""
    return (
        _is_same_time(before.datetime_start, after.datetime_start)
        and _is_same_time(before.datetime_complete, after.datetime_complete)
        and _contents(before, before) == _contents(after, before)
    )


def is_same_end(one: FrozenTrial, other: FrozenTrial) -> bool:
    """Whether two trials ended at one moment in one state: copies do, and hardly any others."""
    return one.state == other.state and _is_same_time(
        one.datetime_complete, other.datetime_complete
    )


def to_canonical(data: object) -> str:
    """Return plain data as text that is equal where the data are; NaN equals NaN."""
    return json.dumps(data, sort_keys=True)


def _is_same_time(before: datetime | None, after: datetime | None) -> bool:
    if before is None or after is None:
        return before is after
    return abs((before - after).total_seconds()) < _MAX_CLOCK_SECONDS


def _contents(trial: FrozenTrial, original: FrozenTrial) -> str:
    """Return all but the times as text."""
    system_attrs = dict(trial.system_attrs)
    if CREATED_BY not in original.system_attrs:  # every trial that is created gets one
        system_attrs.pop(CREATED_BY, None)
    return to_canonical(
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
