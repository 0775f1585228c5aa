"""The report's section on cross-validation, fold by fold."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from searchlab.analysis.comparison import compare_folds
from searchlab.config.metrics import get_metric
from searchlab.report.formatting import format_difference, format_value, name_with_unit
from searchlab.report.page.blocks import Block, Figure, Section, Table
from searchlab.report.page.charts import COLORS, make_chart, scale

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from searchlab.report.leaderboard import Row
    from searchlab.report.page.findings import Findings

__all__ = ["find_driving_fold", "make_folds"]

_ROLES = {"finalist": COLORS[2], "baseline": COLORS[1]}
_MOST_DRAWN = 30


def make_folds(found: Findings) -> Section | None:
    """Show what each fold gave; None if no trial was trained on all of them."""
    ranked = [row for row in found.board.rows if row.rank is not None and len(row.fold_values) > 1]
    if not ranked:
        return None
    pair = _choose_pair(found, ranked)
    blocks: list[Block] = [_draw_trials(found, ranked)]
    if pair is not None:
        blocks += _show_pair(found, *pair)
    says = _describe_one(found, ranked[0]) if pair is None else _compare(found, *pair)
    return Section(key="folds", title="Fold by fold", says=says, blocks=blocks)


def _choose_pair(found: Findings, ranked: Sequence[Row]) -> tuple[Row, Row] | None:
    """Return the winner and the best baseline, or the two that come first by rank."""
    first, *others = ranked
    baseline = next((row for row in others if row.role == "baseline"), None)
    second = baseline or next(iter(others), None)
    return None if second is None else (first, second)


def _compare(found: Findings, first: Row, second: Row) -> str:
    metric, sign = found.board.metric, found.board.sign
    gains = [sign * (a - b) for a, b in zip(first.fold_values, second.fold_values, strict=True)]
    mean = statistics.fmean(gains)
    if mean == 0:
        return f"{first.title} and {second.title} have the same mean over {len(gains)} folds."
    ahead = sum(gain > 0 for gain in gains)
    direction = "ahead of" if mean >= 0 else "behind"
    text = (
        f"{first.title} is {direction} {second.title} by {format_difference(metric, mean)} on "
        f"average, and better on {ahead} of {len(gains)} folds"
    )
    if (index := find_driving_fold(gains)) is not None:
        rest = statistics.fmean(gain for place, gain in enumerate(gains) if place != index)
        left = format_difference(metric, rest)
        kept = f"{left} of it are left" if rest * mean > 0 else "nothing of it is left"
        return f"{text}. Fold {index + 1} drives that: without it, {kept}."
    return f"{text}. No single fold drives that."


def find_driving_fold(gains: Sequence[float]) -> int | None:
    """Return the fold without which less than half of the mean gain would be left, if any."""
    mean = statistics.fmean(gains)
    if len(gains) < 3 or mean == 0:
        return None
    index = max(range(len(gains)), key=lambda place: gains[place] * mean)
    rest = statistics.fmean(gain for place, gain in enumerate(gains) if place != index)
    return index if rest * mean < mean * mean / 2 else None


def _describe_one(found: Findings, row: Row) -> str:
    metric, values = found.board.metric, row.fold_values
    low, high = (values.index(end) for end in (min(values), max(values)))
    return (
        f"{row.title} has from {format_value(metric, values[low])} (fold {low + 1}) to "
        f"{format_value(metric, values[high])} (fold {high + 1})."
    )


def _estimate(found: Findings, values: Sequence[float]) -> tuple[float, float, float]:
    """Return the folds' mean and its 95 % interval, corrected as that of a difference is."""
    mean = compare_folds(values, [0.0] * len(values), num_folds=found.board.num_folds)
    least, most = get_metric(found.board.metric).unit.bounds or (-math.inf, math.inf)
    low, high = mean.interval or (mean.difference, mean.difference)
    return mean.difference, max(low, least), min(high, most)


def _draw_trials(found: Findings, ranked: Sequence[Row]) -> Figure:
    shown = ranked[:_MOST_DRAWN]
    figure = make_chart(name_with_unit(found.board.metric), "")
    for role in _ROLES:
        if rows := [row for row in shown if row.role == role]:
            _draw_role(found, figure, role, rows)
    figure.update_yaxes(categoryorder="array", categoryarray=[row.title for row in shown][::-1])
    figure.update_layout(height=140 + 26 * len(shown))
    title = "Each fold, the mean and its 95 % interval"
    if any(row.role == "finalist" for row in shown):
        title += " (hollow: a fold that the search saw)"
    if len(shown) < len(ranked):
        title += f" (the first {len(shown)} of {len(ranked)})"
    return Figure(name="folds", title=title, figure=figure, wide=True)


def _draw_role(found: Findings, figure: go.Figure, role: str, rows: Sequence[Row]) -> None:
    metric, color = found.board.metric, _ROLES[role]
    seen = found.board.search_folds if role == "finalist" else 0
    points = [(row, fold, value) for row in rows for fold, value in enumerate(row.fold_values)]
    figure.add_scatter(
        x=[scale(metric, value) for _, _, value in points],
        y=[row.title for row, _, _ in points],
        text=[f"fold {fold + 1}" for _, fold, _ in points],
        name=role, mode="markers",
        marker={
            "color": color, "opacity": 0.6,
            "symbol": ["circle-open" if fold < seen else "circle" for _, fold, _ in points],
        },
    )  # fmt: skip
    means = [_estimate(found, row.fold_values) for row in rows]
    figure.add_scatter(
        x=[scale(metric, mean) for mean, _, _ in means],
        y=[row.title for row in rows],
        error_x={
            "type": "data", "symmetric": False, "thickness": 1.5, "color": color,
            "array": [scale(metric, high - mean) for mean, _, high in means],
            "arrayminus": [scale(metric, mean - low) for mean, low, _ in means],
        },
        name=f"{role}, mean", mode="markers", showlegend=False,
        marker={"symbol": "line-ns-open", "size": 16, "color": color, "line": {"width": 3}},
    )  # fmt: skip


def _show_pair(found: Findings, first: Row, second: Row) -> Iterator[Block]:
    metric, seen = found.board.metric, found.board.search_folds
    folds = list(range(1, len(first.fold_values) + 1))
    figure = make_chart("fold", name_with_unit(metric))
    for row, color in ((first, COLORS[2]), (second, COLORS[1])):
        figure.add_scatter(
            x=folds, y=[scale(metric, value) for value in row.fold_values],
            name=row.title, mode="lines+markers", line={"color": color},
        )  # fmt: skip
    figure.update_xaxes(dtick=1)
    yield Figure(name="fold-pair", title="The two, fold by fold", figure=figure)
    searched = {first.role, second.role} - {"baseline"}
    yield Table(
        name="fold-pair",
        title=f"{name_with_unit(metric)}, fold by fold",
        columns=[
            ("fold", "left"), (first.title, "right"), (second.title, "right"),
            ("difference", "right"),
        ],
        rows=[
            [
                f"{fold}, seen by the search" if searched and fold <= seen else str(fold),
                format_value(metric, ours, unit=False),
                format_value(metric, theirs, unit=False),
                format_value(metric, ours - theirs, unit=False, sign="+"),
            ]
            for fold, ours, theirs in zip(
                folds, first.fold_values, second.fold_values, strict=True
            )
        ],
    )  # fmt: skip
