"""Ways to forge what a study records, one at a time, at random."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searchlab.transfer.contents import StudyContents

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
VALUES: list[Any] = [
    None, True, -1, 0, 7, 10**400, 0.5, 1e308, math.nan, math.inf, -math.inf, "", "x", "DT", [],
    {}, [1, 2], [[1.0]], [None], {"a": 1}, {"finished": 3}, {"totals": {"x": 1}}, ["a", "b"],
    {"train_loss": 3}, {"train_loss": [[]]}, {"": {}}, DEEP, "[" * 50, "baseline", "finalist",
]  # fmt: skip


def forge(contents: StudyContents, rng: random.Random) -> StudyContents:
    """Return a copy of a study in which one thing is another."""
    forged = replace(
        contents,
        directions=list(contents.directions),
        user_attrs=copy.deepcopy(contents.user_attrs),
        system_attrs=copy.deepcopy(contents.system_attrs),
        trials=copy.deepcopy(contents.trials),
    )
    trial = rng.choice(forged.trials)
    part = rng.choice(_PARTS)
    part(forged, trial, rng)
    return forged


def _attribute(attributes: dict[str, Any], rng: random.Random) -> None:
    """Replace a value, or one below it, or take it away."""
    if not attributes:
        return
    key = rng.choice([*attributes])
    below = attributes[key]
    if isinstance(below, dict) and below and rng.random() < 0.5:
        _attribute(below, rng)
    elif isinstance(below, list) and below and rng.random() < 0.5:
        below[rng.randrange(len(below))] = _choose(rng)
    elif rng.random() < 0.1:
        del attributes[key]
    else:
        attributes[key] = _choose(rng)


def _choose(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(VALUES))


def _state(_: StudyContents, trial: FrozenTrial, rng: random.Random) -> None:
    trial.state = rng.choice([*TrialState])


def _values(_: StudyContents, trial: FrozenTrial, rng: random.Random) -> None:
    trial._values = rng.choice([None, [], [math.inf], [math.nan], [0.5], [0.1] * 5, [1e308] * 2])


def _times(_: StudyContents, trial: FrozenTrial, rng: random.Random) -> None:
    name = rng.choice(["datetime_start", "datetime_complete"])
    setattr(trial, name, rng.choice([None, datetime(1, 1, 1), datetime(9999, 12, 31)]))


def _parameter(_: StudyContents, trial: FrozenTrial, rng: random.Random) -> None:
    name = rng.choice([*trial.params, "family", "strange"])
    trial.params[name] = rng.choice([1.5, -1.0, math.nan, "x", None, True])
    kinds = [FloatDistribution(0.0, 2.0), CategoricalDistribution(("x", None, True, 1.5))]
    distribution: Any = rng.choice(kinds)
    trial.distributions = {**trial.distributions, name: distribution}


def _steps(_: StudyContents, trial: FrozenTrial, rng: random.Random) -> None:
    step: Any = rng.choice([0, 1, -1, 10**12, "x"])
    trial.intermediate_values[step] = rng.choice([0.5, math.nan, math.inf, -1e308])


def _directions(forged: StudyContents, _: FrozenTrial, rng: random.Random) -> None:
    del forged.directions[rng.choice([0, 1]) :]  # type: ignore[attr-defined]
    if rng.random() < 0.5:
        forged.directions.append(StudyDirection.NOT_SET)  # type: ignore[attr-defined]


_PARTS: list[Callable[[StudyContents, FrozenTrial, random.Random], None]] = [
    *[lambda _, trial, rng: _attribute(trial._user_attrs, rng)] * 4,
    *[lambda _, trial, rng: _attribute(trial._system_attrs, rng)] * 2,
    *[lambda forged, _, rng: _attribute(forged.user_attrs, rng)] * 3,
    lambda forged, _, rng: _attribute(forged.system_attrs, rng),
    _state, _values, _times, _parameter, _steps, _directions,
]  # fmt: skip
