"""What a study runs beyond what its sampler asks for: baselines, planned points, finalists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from searchlab.analysis.pareto import find_front
from searchlab.config.baselines import BaselineRow
from searchlab.config.samplers import SAMPLERS
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.trial import Role
from searchlab.study.space.points import Point, grid, one_at_a_time
from searchlab.study.space.start_points import start_points
from searchlab.study.space.study_space import StudySpace
from searchlab.study.trial_record import (
    FINALIST_OF,
    LABEL,
    PLAN,
    RETRY_OF,
    ROLE,
    SCHEME,
    TrialRecord,
)

__all__ = [
    "PlannedTrial",
    "StudyPlan",
    "baseline_key",
    "choose_finalists",
    "plan_baselines",
    "plan_retry",
    "plan_search",
    "plan_start",
    "plan_study",
    "rank_candidates",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrial:
    """A trial whose parameters are known beforehand. ``key`` is unique within the study."""

    key: str
    role: Role
    point: Point
    attributes: dict[str, Any] = field(default_factory=dict)

    def user_attributes(self) -> dict[str, Any]:
        """Return what the enqueued trial carries from its first moment."""
        return {ROLE: self.role, PLAN: self.key, **self.attributes}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """A study, its space opened, and the trials that are known before it begins.

    ``search`` is None if a sampler is to be asked for the search trials; ``start`` then has those
    that come before it draws any.
    """

    spec: StudySpec
    space: StudySpace
    baselines: tuple[PlannedTrial, ...]
    start: tuple[PlannedTrial, ...]
    search: tuple[PlannedTrial, ...] | None


def plan_study(spec: StudySpec, space: StudySpace) -> StudyPlan:
    """Plan a study once: a grid may have 200,000 points. Raises InputError as its parts do."""
    search = plan_search(spec)
    return StudyPlan(
        spec=spec,
        space=space,
        baselines=tuple(plan_baselines(spec, space)),
        start=tuple(plan_start(spec, space)),
        search=None if search is None else tuple(search),
    )


def plan_baselines(spec: StudySpec, space: StudySpace) -> list[PlannedTrial]:
    """Return the grid of architectures and schemes, and the rows; InputError outside the space."""
    return [
        PlannedTrial(
            key=baseline_key(row),
            role="baseline",
            point=space.baseline_point(row),
            attributes={LABEL: row.name, SCHEME: row.scheme},
        )
        for row in spec.baseline_rows
    ]


def baseline_key(row: BaselineRow) -> str:
    """Return the key of a baseline's planned trial."""
    return f"baseline/{row.name}"


def plan_retry(lost: TrialRecord) -> PlannedTrial:
    """Return the trial that runs a lost one's parameters again, in its role."""
    attributes: dict[str, Any] = {RETRY_OF: lost.number, LABEL: lost.label, SCHEME: lost.scheme}
    if lost.finalist_of is not None:
        attributes[FINALIST_OF] = lost.finalist_of
    return PlannedTrial(
        key=lost.plan or f"retry/{lost.number}",
        role=lost.role,
        point=dict(lost.params),
        attributes=attributes,
    )


def plan_search(spec: StudySpec) -> list[PlannedTrial] | None:
    """Return the search trials of a planned sampler, or None if a sampler is to be asked."""
    search = spec.search
    if not SAMPLERS[search.sampler].planned:
        return None
    assert isinstance(spec.space, SpaceSpec)
    if search.sampler == "grid":
        points = grid(spec.space, points=search.points, seed=search.seed)
    else:
        points = one_at_a_time(spec.space, given=search.reference, points=search.points)
    return [
        PlannedTrial(key=f"search/{index}", role="search", point=point)
        for index, point in enumerate(points[: search.trials])
    ]


def plan_start(spec: StudySpec, space: StudySpace) -> list[PlannedTrial]:
    """Return the reference points with which the search starts, one a family, if it has any."""
    search = spec.search
    if search.start == "random" or not SAMPLERS[search.sampler].has_reference_start:
        return []
    training = spec.with_fixed_optimizer(spec.training)
    points = start_points(space, training)[: search.trials]
    return [
        PlannedTrial(key=f"start/{point['family']}", role="search", point=point) for point in points
    ]


def choose_finalists(spec: StudySpec, records: Iterable[TrialRecord]) -> list[PlannedTrial]:
    """Return the best search trials of different parameters, to be trained on every fold."""
    return [
        PlannedTrial(
            key=f"finalist/{record.number}",
            role="finalist",
            point=dict(record.params),
            attributes={FINALIST_OF: record.number},
        )
        for record in _distinct(rank_candidates(spec, records), spec.confirm.top)
    ]


def rank_candidates(spec: StudySpec, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the complete search trials, the best first.

    With several objectives those of the Pareto front come first, the best by the first objective
    before the others.
    """
    complete = [
        record
        for record in records
        if record.role == "search" and record.state == "COMPLETE" and record.value is not None
    ]
    on_front = _front(spec, complete)
    sign = -spec.primary.sign
    return sorted(
        complete,
        key=lambda record: (
            record.number not in on_front,
            sign * (record.value or 0.0),
            record.number,
        ),
    )


def _front(spec: StudySpec, complete: Sequence[TrialRecord]) -> set[int]:
    """Return the numbers of the Pareto front's trials; none if one objective orders them."""
    if len(spec.objective) == 1:
        return set()
    signs = [objective.sign for objective in spec.objective]
    marks = find_front([record.values for record in complete], signs)
    return {record.number for record, is_on in zip(complete, marks, strict=True) if is_on}


def _distinct(records: Iterable[TrialRecord], limit: int) -> list[TrialRecord]:
    """Return the first records of different parameters, ``limit`` at most."""
    chosen: list[TrialRecord] = []
    for record in records:
        if len(chosen) == limit:
            break
        if all(record.params != other.params for other in chosen):
            chosen.append(record)
    return chosen
