"""The leaderboard: a study's trials in order, best first. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from searchlab.analysis.pareto import find_front
from searchlab.config.changes import describe_quick_look
from searchlab.config.metrics import DEFAULT_METRIC, Figures, list_metrics
from searchlab.records.trial_record import TrialRecord
from searchlab.report.trial_names import name_trials

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.config.trial import Role, Scalar

__all__ = [
    "Leaderboard",
    "Row",
    "best_row",
    "build_leaderboard",
    "list_further_metrics",
    "list_rows",
]

NUM_SEARCH_ROWS = 5
_TELLING = 0.02  # a figure this far from the default metric's shows what that one hides
_STATE_ORDER = ("COMPLETE", "RUNNING", "WAITING", "PRUNED", "FAIL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trial of the leaderboard.

    ``value`` is the mean over the search folds; ``cv_mean`` and ``cv_std`` (sample deviation) are
    over all folds. Only baselines and finalists have them, ``rank`` and ``test_figures``.
    ``figures`` and ``test_figures`` map metrics, the objectives among them, to finite values. With
    several objectives, ``values`` has one for each, and ``on_front`` rows are the Pareto front: no
    trial is as good in all and better in one. ``name`` is the label with what tells the trial from
    the others of the board.
    """

    rank: int | None
    number: int
    role: Role
    label: str
    name: str
    state: str
    value: float | None
    cv_mean: float | None
    cv_std: float | None
    figures: Figures
    test_figures: Figures
    epochs: int
    seconds: float
    stop_reason: str | None
    finalist_of: int | None
    values: tuple[float, ...] = ()
    on_front: bool = False
    params: dict[str, Scalar] = field(default_factory=dict)
    fold_values: tuple[float, ...] = ()
    same_as: int | None = None

    @property
    def title(self) -> str:
        """How a sentence names it: ``#31 cnn 16-32 lr 0.0078``."""
        return f"#{self.number} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Rows in order: confirmed ones by rank, the rest of their kind, then search trials.

    ``metrics`` are the objectives, ``metric`` is the first of them, and ``further_metrics`` are
    worth showing beside it. ``sign`` is 1 if more of ``metric`` is better, -1 if less is.
    ``at`` is the epoch that counts. ``num_search`` is how many search trials the study asks for,
    None for all of a plan. ``quick_look`` says what was changed if the study was shortened, else it
    is empty.
    """

    study: str
    metric: str
    metrics: tuple[str, ...]
    further_metrics: tuple[str, ...]
    sign: int
    num_folds: int
    search_folds: int
    at: Literal["best", "last"]
    rows: tuple[Row, ...]
    num_hidden: int
    num_search: int | None = None
    quick_look: str = ""


def build_leaderboard(
    records: Iterable[TrialRecord], spec: StudySpec, *, show_all: bool = False
) -> Leaderboard:
    """Rank a study's trials; show only the best few of the search, unless ``show_all``.

    Those few are without the trials that a ranked finalist repeats, and without those that have the
    result of another trial. Confirmations have no row,
    because they are repeats of trials that have one.
    """
    records = [record for record in records if record.role != "confirmation"]
    sign = spec.primary.sign
    rows = _mark_front([_to_row(record, spec) for record in records], spec)
    fixed = [row for row in rows if row.role != "search"]
    confirmed = _order([row for row in fixed if row.cv_mean is not None], "cv_mean", sign)
    unconfirmed = _order([row for row in fixed if row.cv_mean is None], "value", sign)
    search = _order([row for row in rows if row.role == "search"], "value", sign)
    few = _choose_few(search, repeated={row.finalist_of for row in confirmed})
    numbers = {row.number for row in (*fixed, *few)}
    names = name_trials(
        records if show_all else [one for one in records if one.number in numbers], shown=numbers
    )
    shown = search if show_all else few
    board_rows = tuple(
        replace(row, name=names[row.number]) for row in (*_number(confirmed), *unconfirmed, *shown)
    )
    metrics = tuple(objective.metric for objective in spec.objective)
    return Leaderboard(
        study=spec.name,
        metric=spec.primary.metric,
        metrics=metrics,
        further_metrics=list_further_metrics(board_rows, metrics),
        sign=sign,
        num_folds=spec.validation.folds,
        search_folds=spec.validation.search_folds,
        at=spec.primary.at,
        rows=board_rows,
        num_hidden=len(search) - len(shown),
        num_search=spec.search.trials,
        quick_look=describe_quick_look(spec),
    )


def _choose_few(search: Iterable[Row], *, repeated: Collection[int | None]) -> list[Row]:
    """Return the best few of the search, the whole Pareto front at least, without the repeated."""
    complete = [row for row in _complete(search) if row.same_as is None]
    front = [row for row in complete if row.on_front]
    rest = [row for row in complete if not row.on_front]
    best = [*front, *rest[: max(0, NUM_SEARCH_ROWS - len(front))]]
    return [row for row in best if row.number not in repeated]


def list_rows(records: Sequence[TrialRecord], spec: StudySpec) -> list[Row]:
    """Return a row for each record, in their order.

    Confirmations have one too, with the name of the trial that they train again.
    """
    board = build_leaderboard(records, spec, show_all=True)
    rows = {row.number: row for row in board.rows}
    for record in records:
        if record.number not in rows:
            confirmed = next((r for r in board.rows if r.number == record.confirmation_of), None)
            row = _to_row(record, spec)
            rows[record.number] = row if confirmed is None else replace(row, name=confirmed.name)
    return [rows[record.number] for record in records]


def list_further_metrics(rows: Iterable[Row], objectives: Sequence[str]) -> tuple[str, ...]:
    """Return what to show beside the first objective: the others, then what the table says."""
    first, *others = objectives
    complete = _complete(rows)
    shown = [
        metric.name
        for metric in list_metrics()
        if metric.shown == "always"
        or (metric.shown == "if_telling" and any(_is_telling(metric.name, row) for row in complete))
    ]
    return tuple(name for name in dict.fromkeys((*others, *shown)) if name != first)


def _is_telling(metric: str, row: Row) -> bool:
    return any(
        abs(figures[metric] - figures[DEFAULT_METRIC]) > _TELLING
        for figures in (row.figures, row.test_figures)
        if metric in figures and DEFAULT_METRIC in figures
    )


def best_row(
    records: Iterable[TrialRecord],
    spec: StudySpec,
    *,
    roles: Collection[Role] = ("baseline", "finalist", "search"),
) -> Row | None:
    """Return the winner among trials of ``roles``: the first by rank; None if there is none yet.

    Before any finalist is ranked, it is the best on the search folds, which all trials share.
    """
    rows = build_leaderboard(records, spec, show_all=True).rows
    found = [row for row in rows if row.role in roles]
    ranked = [row for row in found if row.rank is not None]
    if "search" in roles and not any(row.role == "finalist" for row in ranked):
        return next(iter(_order(_complete(found), "value", spec.primary.sign)), None)
    return next(iter(ranked), None)


def _to_row(record: TrialRecord, spec: StudySpec) -> Row:
    is_fixed = record.role != "search"
    is_complete = record.state == "COMPLETE"
    folds = tuple(record.fold_values)
    values = record.values if is_complete else ()
    metrics = [objective.metric for objective in spec.objective]
    is_confirmed = (
        is_fixed
        and is_complete
        and len(folds) == spec.validation.folds
        and all(math.isfinite(value) for value in folds)
    )
    return Row(
        rank=None,
        number=record.number,
        role=record.role,
        label=record.label,
        name=record.label,
        state=record.state,
        value=_finite(record.value),
        cv_mean=statistics.fmean(folds) if is_confirmed else None,
        cv_std=statistics.stdev(folds) if is_confirmed else None,
        figures=_finite_figures({**dict(zip(metrics, values, strict=False)), **record.figures}),
        # Whatever a storage says, no search trial is ever shown with a test figure.
        test_figures=_finite_figures(record.test_figures if is_fixed and is_complete else {}),
        epochs=record.epochs,
        seconds=record.seconds,
        stop_reason=record.stop_reason,
        finalist_of=record.finalist_of,
        values=values,
        params=record.params,
        fold_values=folds,
        same_as=record.same_as,
    )


def _mark_front(rows: list[Row], spec: StudySpec) -> list[Row]:
    if len(spec.objective) < 2:
        return rows
    ended = [
        row
        for row in rows
        if len(row.values) == len(spec.objective) and all(map(math.isfinite, row.values))
    ]
    signs = [objective.sign for objective in spec.objective]
    marks = find_front([row.values for row in ended], signs)
    front = {row.number for row, is_on in zip(ended, marks, strict=True) if is_on}
    return [replace(row, on_front=row.number in front) for row in rows]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _finite_figures(figures: Figures) -> Figures:
    return {metric: figure for metric, figure in figures.items() if math.isfinite(figure)}


def _complete(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.state == "COMPLETE" and row.value is not None]


def _order(rows: Iterable[Row], figure: Literal["value", "cv_mean"], sign: int) -> list[Row]:
    """Sort by state, then by the figure, best first; ties by number."""

    def key(row: Row) -> tuple[int, bool, float, int]:
        amount: float | None = getattr(row, figure)
        state = _STATE_ORDER.index(row.state)
        return state, amount is None, 0.0 if amount is None else -sign * amount, row.number

    return sorted(rows, key=key)


def _number(rows: Sequence[Row]) -> list[Row]:
    return [replace(row, rank=rank) for rank, row in enumerate(rows, start=1)]
