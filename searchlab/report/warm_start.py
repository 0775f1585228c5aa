"""The good points of earlier studies, for another study's search to try first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.errors import InputError
from searchlab.report.trial_view import read_config
from searchlab.search.space.start_points import config_values, given_point
from searchlab.study.plan import rank_candidates

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.report.reading import StudyReading
    from searchlab.search.space.points import Point
    from searchlab.search.space.study_space import StudySpace

__all__ = ["WARM_POINTS", "WarmStart", "find_warm_start"]

WARM_POINTS = 3
"""Of each earlier study: more would cost a misled search too many epochs (benchmarks/search.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """What an earlier study gives: points, the trials that found them, and how many don't fit."""

    run: str
    points: list[Point]
    numbers: list[int]
    num_outside: int

    def describe(self) -> str:
        """Return a line for the user."""
        trials = ", ".join(f"#{number}" for number in self.numbers)
        text = f"warm start from {self.run}: search trials {trials}"
        if self.num_outside:
            text += f" ({self.num_outside} more would lie outside this space)"
        return text


def find_warm_start(spec: StudySpec, space: StudySpace, reading: StudyReading) -> WarmStart:
    """Return the points of a study's best search trials that lie in another study's space.

    What the other study fixes is as it fixes it. Raises InputError if there is none.
    """
    training = spec.with_fixed_optimizer(spec.training)
    points: list[Point] = []
    numbers: list[int] = []
    num_outside = 0
    trials = {trial.number: trial for trial in reading.trials}
    for record in rank_candidates(reading.spec, reading.records):
        if len(points) == WARM_POINTS:
            break
        config = read_config(reading.spec, trials[record.number])
        if config is None:
            continue
        try:
            point = given_point(space, training, config_values(config))
        except InputError:
            num_outside += 1
            continue
        if point not in points:
            points.append(point)
            numbers.append(record.number)
    if not points:
        raise InputError(
            "has no complete search trial whose configuration lies in the space of this study",
            where=f"--warm-start {reading.run.path}",
            remedy="Leave it out, or widen the space",
        )
    return WarmStart(
        run=str(reading.run.path), points=points, numbers=numbers, num_outside=num_outside
    )
