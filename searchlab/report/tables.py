"""Tables for people, by rich, onto the console that is passed in. Readable at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from searchlab.config.metrics import get_metric
from searchlab.report.formatting import MISSING, format_mean_std, format_seconds, format_value
from searchlab.report.layout import make_table, plain_text, say
from searchlab.report.leaderboard import list_further_metrics

if TYPE_CHECKING:
    from rich.console import Console

    from searchlab.report.leaderboard import Row
    from searchlab.report.status import StudyStatus
    from searchlab.report.summary import StudySummary

__all__ = [
    "describe_figures",
    "print_status",
    "print_summaries",
]


def print_status(console: Console, status: StudyStatus) -> None:
    """Print the counts of each role that the study has."""
    table = make_table(
        [("", "left"), *((name, "right") for name in _STATUS_COLUMNS)],
    )
    for role, found in status.roles.items():
        counts = (found.complete, found.pruned, found.failed, found.running, found.waiting)
        if found.total != 0 or any(counts):
            table.add_row(role, "?" if found.total is None else str(found.total), *map(str, counts))
    console.print(table)
    if (text := status.incidents.text) is not None:
        say(console, f"incidents: {text}")


_STATUS_COLUMNS = ("planned", "complete", "pruned", "failed", "running", "waiting")


def print_summaries(console: Console, summaries: Sequence[StudySummary]) -> None:
    """Print a line for each study."""
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
                plain_text(cell)
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


def describe_figures(row: Row, metrics: Sequence[str]) -> list[str]:
    """Write a trial's figures as lines of text; ``metrics`` are the study's objectives."""
    first, label = metrics[0], get_metric(metrics[0]).label
    further = list_further_metrics([row], metrics)
    source = "" if row.finalist_of is None else f", search trial #{row.finalist_of} on all folds"
    lines = [f"{row.title} ({row.role}{source})"]
    if row.cv_mean is not None:
        figure = format_mean_std(first, row.cv_mean, row.cv_std, unit=True)
        lines.append(f"{label} over {len(row.fold_values)} folds: {figure}")
    if row.role != "confirmation":
        lines.append(f"{label} on the search folds: {format_value(first, row.value)}")
    for name in further:
        if name in row.figures:
            where = " on the search folds" if get_metric(name).is_of_folds else ""
            figure = format_value(name, row.figures[name])
            lines.append(f"{get_metric(name).label}{where}: {figure}")
    for name in (first, *further):
        if name in row.test_figures:
            figure = format_value(name, row.test_figures[name])
            lines.append(f"test {get_metric(name).label}: {figure}")
    lines.append(f"epochs: {row.epochs}, {format_seconds(row.seconds)} s")
    return lines
