"""What a study runs beyond what its sampler asks for.

Baselines, planned points, finalists, and the confirmations of the two that the verdict compares.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from searchlab.analysis.pareto import find_front
from searchlab.config.baselines import BaselineRow
from searchlab.config.changes import describe_quick_look
from searchlab.config.samplers import SAMPLERS
from searchlab.config.settings import TrainingSettings
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.trial import Role, Scalar
from searchlab.errors import InputError, did_you_mean
from searchlab.records import trial_record as attr
from searchlab.records.trial_record import TrialRecord
from searchlab.search.space.points import Point, grid, one_at_a_time
from searchlab.search.space.portfolio import portfolio_points, read_portfolio
from searchlab.search.space.start_points import given_point, start_points

if TYPE_CHECKING:
    from searchlab.search.space.study_space import StudySpace

__all__ = [
    "REFERENCE",
    "WARM",
    "PlannedTrial",
    "Rivals",
    "StudyPlan",
    "are_confirmed",
    "baseline_key",
    "choose_best",
    "choose_finalists",
    "choose_rivals",
    "count_confirmations",
    "is_baseline_key",
    "plan_baselines",
    "plan_confirmations",
    "plan_retry",
    "plan_search",
    "plan_start",
    "plan_study",
    "rank_candidates",
]


REFERENCE, PORTFOLIO, WARM = "start/", "portfolio/", "warm/"
"""With these begin the keys of the trials with which a search starts: ``plan_start``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrial:
    """A trial whose parameters are known beforehand. ``key`` is unique within the study."""

    key: str
    role: Role
    point: Point
    attributes: dict[str, Any] = field(default_factory=dict)

    def user_attributes(self) -> dict[str, Any]:
        """Return what the enqueued trial carries from its first moment."""
        return {attr.ROLE: self.role, attr.PLAN: self.key, **self.attributes}


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
            attributes={attr.LABEL: row.name, attr.SCHEME: row.scheme},
        )
        for row in spec.baseline_rows
    ]


_BASELINE = "baseline/"


def baseline_key(row: BaselineRow) -> str:
    """Return the key of a baseline's planned trial."""
    return _BASELINE + row.name


def is_baseline_key(key: object) -> bool:
    """Return whether ``key`` is that of a baseline, of this study or of another."""
    return isinstance(key, str) and key.startswith(_BASELINE)


def plan_retry(lost: TrialRecord) -> PlannedTrial:
    """Return the trial that runs a lost one's parameters again, in its role."""
    carried = {
        attr.LABEL: lost.label,
        attr.SCHEME: lost.scheme,
        attr.FINALIST_OF: lost.finalist_of,
        attr.CONFIRMATION_OF: lost.confirmation_of,
        attr.CONFIRMED_PLAN: lost.confirmed_plan,
        attr.REPEAT: lost.repeat or None,
        attr.LAST_EPOCH: lost.last_epoch,
    }
    known = {name: value for name, value in carried.items() if value is not None}
    return PlannedTrial(
        key=lost.plan or f"retry/{lost.number}",
        role=lost.role,
        point=dict(lost.params),
        attributes={attr.RETRY_OF: lost.number, **known},
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
    """Return the trials with which the search starts.

    They are the reference points, one a family, then those of the portfolio and the points of
    ``search.warm_start`` in turn, so that good ones of either come early. The portfolio takes no
    more than half of the trials, and leaves room for the others. Raises InputError for one of
    ``search.warm_start`` that is not a point of the space.
    """
    search = spec.search
    training = spec.with_fixed_optimizer(spec.training)
    has_reference = search.start != "random" and SAMPLERS[search.sampler].has_reference_start
    planned = [
        PlannedTrial(key=f"{REFERENCE}{point['family']}", role="search", point=point)
        for point in (start_points(space, training) if has_reference else ())
    ]
    known = [one.point for one in planned]
    warm = []
    for index, values in enumerate(search.warm_start):
        point = _warm_point(space, training, values, index)
        if point not in known:
            known.append(point)
            warm.append(PlannedTrial(key=f"{WARM}{index}", role="search", point=point))
    portfolio = []
    if search.start == "portfolio" and has_reference:
        proven = portfolio_points(space, training, read_portfolio())
        new = [point for point in proven if point not in known]
        most = len(new)
        if search.trials is not None:  # and what the user asks for is not crowded out
            most = min(search.trials // 2, max(0, search.trials - len(known)))
        portfolio = [
            PlannedTrial(key=f"{PORTFOLIO}{index}", role="search", point=point)
            for index, point in enumerate(new[:most])
        ]
    planned += filter(None, chain.from_iterable(zip_longest(portfolio, warm)))
    return planned[: search.trials]


def _warm_point(
    space: StudySpace, training: TrainingSettings, values: Mapping[str, Scalar], index: int
) -> Point:
    place = ("search", "warm_start", index)
    try:
        point = given_point(space, training, values)
    except InputError as error:
        within = error.where if isinstance(error.where, tuple) else ()
        raise error.at((*place, *within)) from None
    for name, value in values.items():
        if name not in point:
            rule = f"is not a parameter that the space has beside family: {point['family']}"
            raise InputError(rule, where=(*place, name), remedy=did_you_mean(name, point))
        if point[name] != value:
            raise InputError(
                f"must be {point[name]!r}, as the space fixes it",
                where=(*place, name),
                found=value,
                remedy="Leave it out",
            )
    return point


def choose_finalists(spec: StudySpec, records: Iterable[TrialRecord]) -> list[PlannedTrial]:
    """Return the best search trials of different parameters, to be trained on every fold."""
    return [
        PlannedTrial(
            key=f"finalist/{record.number}",
            role="finalist",
            point=dict(record.params),
            attributes={attr.FINALIST_OF: record.number},
        )
        for record in _distinct(rank_candidates(spec, records), spec.confirm.top)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rivals:
    """The finalist and the baseline that the verdict compares."""

    finalist: TrialRecord
    baseline: TrialRecord


def choose_rivals(spec: StudySpec, records: Iterable[TrialRecord]) -> Rivals | None:
    """Return the best finalist and the best baseline by cross-validation, if there are both."""
    best = choose_best(spec, records)
    if len(best) < 2:
        return None
    return Rivals(finalist=best["finalist"], baseline=best["baseline"])


def choose_best(spec: StudySpec, records: Iterable[TrialRecord]) -> dict[Role, TrialRecord]:
    """Return the best finalist, then the best baseline by cross-validation, if there are any.

    Only those count that were trained on every fold: by their mean, of equals the first.
    """
    best: dict[Role, TrialRecord] = {}
    for record in records:
        if record.role not in ("finalist", "baseline") or not _is_ranked(spec, record):
            continue
        known = best.get(record.role)
        if known is None or spec.primary.sign * (_mean(record) - _mean(known)) > 0:
            best[record.role] = record
    roles: tuple[Role, ...] = ("finalist", "baseline")
    return {role: best[role] for role in roles if role in best}


def _is_ranked(spec: StudySpec, record: TrialRecord) -> bool:
    values = record.fold_values
    has_all = len(values) == spec.validation.folds and all(map(math.isfinite, values))
    return record.state == "COMPLETE" and has_all


def _mean(record: TrialRecord) -> float:
    return statistics.fmean(record.fold_values)


def plan_confirmations(spec: StudySpec, records: Iterable[TrialRecord]) -> list[PlannedTrial]:
    """Return the trials that train both rivals again, each ``confirm.repeats`` times.

    They end with the epoch that the rival's folds chose.
    """
    rivals = choose_rivals(spec, records)
    if rivals is None or not are_confirmed(spec, rivals):
        return []
    return [
        _plan_confirmation(rival, repeat)
        for repeat in range(1, spec.confirm.repeats + 1)
        for rival in (rivals.finalist, rivals.baseline)
    ]


def count_confirmations(spec: StudySpec) -> int:
    """Return how many trials ``plan_confirmations`` returns if the study has both rivals."""
    has_rivals = spec.baseline_rows and spec.confirm.top and spec.search.trials != 0
    return 2 * spec.confirm.repeats if has_rivals and _is_confirmed(spec) else 0


def are_confirmed(spec: StudySpec, rivals: Rivals) -> bool:
    """Return whether a study trains its rivals again, for the test set to decide between them.

    Not if it is only a quick look, nor if it recorded no epoch of the rivals' folds to end with, as
    searchlab before December 2026.
    """
    has_epochs = None not in (rivals.finalist.fold_epoch, rivals.baseline.fold_epoch)
    return has_epochs and _is_confirmed(spec)


def _is_confirmed(spec: StudySpec) -> bool:
    is_comparable = spec.primary.entry.is_of_single_answers
    return spec.confirm.repeats > 0 and is_comparable and not describe_quick_look(spec)


def _plan_confirmation(rival: TrialRecord, repeat: int) -> PlannedTrial:
    attributes = {
        attr.LABEL: rival.label,
        attr.SCHEME: rival.scheme,
        attr.CONFIRMATION_OF: rival.number,
        attr.CONFIRMED_PLAN: rival.plan,
        attr.REPEAT: repeat,
        attr.LAST_EPOCH: rival.fold_epoch,
    }
    return PlannedTrial(
        key=f"confirmation/{rival.number}/{repeat}",
        role="confirmation",
        point=dict(rival.params),
        attributes={name: value for name, value in attributes.items() if value is not None},
    )


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
