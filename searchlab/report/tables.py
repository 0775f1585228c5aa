"""Tables for people, by rich, onto the console that is passed in. Readable at 80 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from searchlab.report.formatting import (
    MISSING,
    format_count,
    format_mean_std,
    format_percent,
    format_seconds,
    format_value,
)
from searchlab.report.layout import make_table, say

if TYPE_CHECKING:
    from rich.console import Console

    from searchlab.config.objectives import Metric
    from searchlab.report.leaderboard import Row
    from searchlab.report.status import StudyStatus
    from searchlab.report.summary import StudySummary

__all__ = [
    "describe_figures",
    "print_status",
    "print_summaries",
]


def print_status(console: Console, status: StudyStatus) -> None:
    """Print the counts by role."""
    table = make_table(
        [("", "left"), *((name, "right") for name in _STATUS_COLUMNS)],
    )
    for role, counts in status.roles.items():
        table.add_row(
            role,
            "?" if counts.total is None else str(counts.total),
            *(
                str(count)
                for count in (
                    counts.complete,
                    counts.pruned,
                    counts.failed,
                    counts.running,
                    counts.waiting,
                )
            ),
        )
    console.print(table)
    if (text := status.incidents.text) is not None:
        say(console, f"disturbed: {text}")


_STATUS_COLUMNS = ("asked for", "complete", "pruned", "failed", "running", "waiting")


def print_summaries(console: Console, summaries: Sequence[StudySummary]) -> None:
    """Print one line a study."""
    table = make_table(
        [
            ("study", "left"),
            ("dataset", "left"),
            ("state", "left"),
            ("trials", "right"),
            ("best", "left"),
            ("begun", "left"),
        ]
    )
    for item in summaries:
        total = "?" if item.total is None else str(item.total)
        best = MISSING
        if item.best is not None:
            best = f"{_headline(item.metric, item.best)} {item.best.title}"
        table.add_row(
            *(
                Text(cell)
                for cell in (
                    item.name,
                    item.dataset,
                    item.state,
                    f"{item.ended}/{total}",
                    best,
                    item.begun.strftime("%Y-%m-%d %H:%M"),
                )
            )
        )
    console.print(table)
    for item in summaries:
        if item.problem:
            say(console, f"{item.name}: {item.problem}")


def _headline(metric: str, row: Row) -> str:
    return format_value(metric, row.value if row.cv_mean is None else row.cv_mean)


def describe_figures(row: Row, metrics: Sequence[Metric]) -> list[str]:
    """Write a trial's figures as lines of text; ``metrics`` are the study's objectives."""
    metric = metrics[0]
    source = "" if row.finalist_of is None else f", search trial #{row.finalist_of} again"
    lines = [f"{row.title} ({row.role}{source})"]
    if row.cv_mean is not None:
        figure = format_mean_std(metric, row.cv_mean, row.cv_std)
        unit = " %" if metric == "accuracy" else ""
        lines.append(f"{metric} over {len(row.fold_values)} folds: {figure}{unit}")
    lines.append(f"{metric} on the search folds: {format_value(metric, row.value)}")
    lines.extend(_describe_objective(*one) for one in _further_values(row, metrics))
    if row.test_accuracy is not None:
        lines.append(f"test accuracy: {format_percent(row.test_accuracy)}")
    if row.test_robust_accuracy is not None:
        lines.append(f"test accuracy under attack: {format_percent(row.test_robust_accuracy)}")
    lines.append(f"parameters: {format_count(row.num_parameters)}")
    lines.append(f"epochs: {row.epochs}, {format_seconds(row.seconds)} s")
    return lines


def _further_values(row: Row, metrics: Sequence[Metric]) -> list[tuple[Metric, float]]:
    """Pair the objectives but the first with their values; parameters have a line anyway."""
    if len(row.values) != len(metrics):
        return []
    return [
        (metric, value)
        for metric, value in zip(metrics[1:], row.values[1:], strict=True)
        if metric != "parameters" and math.isfinite(value)
    ]


def _describe_objective(metric: Metric, value: float) -> str:
    match metric:
        case "multiply_adds":
            return f"multiply-adds an image: {format_count(round(value))}"
        case "latency":
            return f"latency: {value:.3f} ms"
        case "robust_accuracy":
            return f"accuracy under attack on the search folds: {format_percent(value)}"
        case _:
            return f"{metric} on the search folds: {format_value(metric, value)}"
