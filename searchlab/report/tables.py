"""Tables for people, by rich, onto the console that is passed in. Readable at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rich.table import Table
from rich.text import Text

from searchlab.report.formatting import (
    MISSING,
    format_count,
    format_mean_std,
    format_percent,
    format_seconds,
    format_value,
)

if TYPE_CHECKING:
    from rich.console import Console

    from searchlab.report.leaderboard import Leaderboard, Row
    from searchlab.report.standing import Standing
    from searchlab.report.summary import StudySummary
    from searchlab.report.verdict import Verdict

__all__ = [
    "describe_figures",
    "print_leaderboard",
    "print_standing",
    "print_summaries",
]


def print_leaderboard(console: Console, board: Leaderboard, verdict: Verdict) -> None:
    """Print the rows, what the columns mean, and the verdict."""
    table = _table(
        [
            ("", "right"),
            ("trial", "left"),
            ("model", "left"),
            ("kind", "left"),
            (f"{board.num_folds}-fold", "right"),
            ("test", "right"),
            ("search", "right"),
            ("params", "right"),
            ("ep", "right"),
            ("s", "right"),
        ]
    )
    for row in board.rows:
        style = "bold" if row.rank == 1 else "" if row.rank else "dim"
        table.add_row(*(Text(cell) for cell in _board_cells(board.metric, row)), style=style)
    unit = "accuracy in %" if board.metric == "accuracy" else "loss, test accuracy in %"
    _say(console, f"{board.study}: leaderboard ({unit})", style="bold")
    console.print(table)
    if board.num_hidden:
        trials = "trial" if board.num_hidden == 1 else "trials"
        _say(console, f"{board.num_hidden} more search {trials}: --all", style="dim")
    _say(console, _explain_columns(board), style="dim")
    console.print()
    _say(console, verdict.text + ".", style="bold")
    if verdict.caveat:
        _say(console, verdict.caveat)


def _board_cells(metric: str, row: Row) -> list[str]:
    return [
        MISSING if row.rank is None else str(row.rank),
        f"#{row.number}",
        row.label,
        _describe_kind(row),
        format_mean_std(metric, row.cv_mean, row.cv_std),
        format_percent(row.test_accuracy, unit=False),
        format_value(metric, row.value, unit=False),
        format_count(row.num_parameters),
        str(row.epochs),
        format_seconds(row.seconds),
    ]


def _describe_kind(row: Row) -> str:
    """Write ``finalist #12``, ``search pruned``, ``baseline``."""
    if row.state != "COMPLETE":
        state = "failed" if row.state == "FAIL" else row.state.lower()
        if row.stop_reason and row.stop_reason != "error":
            state = row.stop_reason
        return f"{row.role} {state}"
    return row.role if row.finalist_of is None else f"{row.role} #{row.finalist_of}"


def _explain_columns(board: Leaderboard) -> str:
    folds = "the first fold" if board.search_folds == 1 else f"{board.search_folds} folds"
    text = (
        f"{board.num_folds}-fold: mean ± standard deviation over all folds, by which rank goes. "
        f"search: on {folds}, by which the search goes. test: met once, by a model trained on "
        "all training images. ep: epochs."
    )
    if any(row.finalist_of is not None for row in board.rows):
        text += " finalist #n: search trial n, trained again."
    return text


def print_standing(console: Console, standing: Standing) -> None:
    """Print the counts by role."""
    table = _table(
        [("", "left"), *((name, "right") for name in _STANDING_COLUMNS)],
    )
    for role, counts in standing.roles.items():
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


_STANDING_COLUMNS = ("asked for", "complete", "pruned", "failed", "running", "waiting")


def print_summaries(console: Console, summaries: Sequence[StudySummary]) -> None:
    """Print one line a study."""
    table = _table(
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
            _say(console, f"{item.name}: {item.problem}")


def _headline(metric: str, row: Row) -> str:
    return format_value(metric, row.value if row.cv_mean is None else row.cv_mean)


def describe_figures(row: Row, metric: str) -> list[str]:
    """Write a trial's figures as lines of text."""
    source = "" if row.finalist_of is None else f", search trial #{row.finalist_of} again"
    lines = [f"{row.title} ({row.role}{source})"]
    if row.cv_mean is not None:
        figure = format_mean_std(metric, row.cv_mean, row.cv_std)
        unit = " %" if metric == "accuracy" else ""
        lines.append(f"{metric} over {len(row.fold_values)} folds: {figure}{unit}")
    lines.append(f"{metric} on the search folds: {format_value(metric, row.value)}")
    if row.test_accuracy is not None:
        lines.append(f"test accuracy: {format_percent(row.test_accuracy)}")
    lines.append(f"parameters: {format_count(row.num_parameters)}")
    lines.append(f"epochs: {row.epochs}, {format_seconds(row.seconds)} s")
    return lines


_NAME_COLUMNS = ("model", "kind", "study", "best")


def _table(columns: Sequence[tuple[str, Literal["left", "right"]]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title, justify in columns:
        # Figures are never cut; what a narrow terminal has no room for is a long name.
        is_name = title in _NAME_COLUMNS
        table.add_column(title, justify=justify, no_wrap=not is_name, overflow="fold")
    return table


def _say(console: Console, text: str, *, style: str = "") -> None:
    # Text, not a string: names and paths may hold what rich takes for markup.
    console.print(Text(text, style=style))
