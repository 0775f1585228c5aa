"""What a search has taught so far, in the one form that the whole-space samplers read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optuna.study import StudyDirection
from optuna.trial import TrialState

from searchlab.records.recorded_values import params_of
from searchlab.records.trial_record import STOP_REASON
from searchlab.search.space.points import Point

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["Observation", "known_points", "observe", "running_points"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A finished search trial. ``losses`` has a figure for each objective: less is better."""

    number: int
    point: Point
    losses: tuple[float, ...]
    system_attrs: dict[str, Any] = field(default_factory=dict)


def observe(study: Study) -> list[Observation]:
    """Return what every finished trial taught, by number.

    A pruned trial counts with its best epoch so far, which is no better than it would have become;
    one that diverged, or had no figure yet, is as bad as the worst. A failed trial teaches nothing.
    """
    signs = [-1.0 if way == StudyDirection.MAXIMIZE else 1.0 for way in study.directions]
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    known: list[tuple[FrozenTrial, tuple[float, ...] | None]] = [
        (trial, _losses(trial, signs))
        for trial in study.get_trials(deepcopy=False, states=states)
        if trial.params
    ]
    finite = [losses for _, losses in known if losses is not None]
    if not finite:
        return []
    worst = tuple(max(column) for column in zip(*finite, strict=True))
    return [
        Observation(
            number=trial.number,
            point=params_of(trial),
            losses=worst if losses is None else losses,
            system_attrs=trial.system_attrs,
        )
        for trial, losses in known
    ]


def running_points(study: Study, trial: FrozenTrial) -> list[Point]:
    """Return the points of the other trials that are being trained now."""
    return [
        params_of(other)
        for other in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if other.number != trial.number and other.params
    ]


def known_points(study: Study, trial: FrozenTrial, names: Collection[str]) -> list[Point]:
    """Return what the other trials have of these parameters: not worth asking for again.

    Failed ones count: the same point would fail again.
    """
    return [
        {name: value for name, value in params_of(other).items() if name in names}
        for other in study.get_trials(deepcopy=False)
        if other.number != trial.number and other.params
    ]


def _losses(trial: FrozenTrial, signs: list[float]) -> tuple[float, ...] | None:
    if trial.state == TrialState.COMPLETE:
        return tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))
    steps = trial.intermediate_values.values()
    if len(signs) > 1 or not steps or trial.user_attrs.get(STOP_REASON) == "diverged":
        return None
    return (min(signs[0] * value for value in steps),)
