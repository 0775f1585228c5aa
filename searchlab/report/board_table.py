"""The leaderboard as a table: on a terminal, or as Markdown."""

from __future__ import annotations

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
from searchlab.report.layout import Column, make_table, markdown_table, say

if TYPE_CHECKING:
    from rich.console import Console

    from searchlab.config.objectives import Metric
    from searchlab.report.leaderboard import Leaderboard, Row
    from searchlab.report.verdict import Verdict

__all__ = ["board_markdown", "print_leaderboard"]


def print_leaderboard(console: Console, board: Leaderboard, verdict: Verdict) -> None:
    """Print the rows, what the columns mean, and the verdict."""
    further = _further_metrics(board)
    beside = further if _have_room(board, further) else []
    table = make_table(_board_columns(board, beside))
    for row in board.rows:
        style = "bold" if row.rank == 1 else "" if row.rank else "dim"
        table.add_row(*(Text(cell) for cell in _board_cells(board, row, beside)), style=style)
    say(console, _title(board), style="bold")
    console.print(table)
    if board.num_hidden:
        trials = "trial" if board.num_hidden == 1 else "trials"
        say(console, f"{board.num_hidden} more search {trials}: --all", style="dim")
    if further and not beside:
        _print_further(console, board, further)
    say(console, _explain_columns(board), style="dim")
    console.print()
    say(console, verdict.text + ".", style="bold")
    if verdict.caveat:
        say(console, verdict.caveat)


def board_markdown(board: Leaderboard, verdict: Verdict) -> str:
    """Return the same as Markdown, every column in one table."""
    further = _further_metrics(board)
    table = markdown_table(
        _board_columns(board, further),
        [_board_cells(board, row, further) for row in board.rows],
    )
    said = f"**{verdict.text}.** {verdict.caveat}".rstrip()
    return f"{_title(board)}\n\n{table}\n{_explain_columns(board)}\n\n{said}\n"


def _title(board: Leaderboard) -> str:
    unit = "accuracy in %" if board.metric == "accuracy" else "loss, test accuracy in %"
    return f"{board.study}: leaderboard ({unit})"


def _board_columns(board: Leaderboard, beside: Sequence[Metric]) -> list[Column]:
    return [
        ("", "right"),
        ("trial", "left"),
        ("model", "left"),
        ("kind", "left"),
        (f"{board.num_folds}-fold", "right"),
        ("test", "right"),
        ("search", "right"),
        *((_COST_COLUMNS[metric], "right") for metric in beside),
        ("params", "right"),
        ("ep", "right"),
        ("s", "right"),
    ]  # fmt: skip


_COST_COLUMNS: dict[Metric, str] = {
    "accuracy": "accuracy",
    "loss": "loss",
    "robust_accuracy": "robust",
    "multiply_adds": "mult-adds",
    "latency": "ms",
}
_MAX_BESIDE = 13  # characters that further columns may take of the names' at 80 columns


def _further_metrics(board: Leaderboard) -> list[Metric]:
    """Return what else is shown: the other objectives, and accuracy under attack if measured."""
    further: list[Metric] = [metric for metric in board.metrics[1:] if metric != "parameters"]
    attacked = any(row.robust_accuracy is not None for row in board.rows)
    if attacked and "robust_accuracy" not in further:
        further.append("robust_accuracy")
    return further


def _have_room(board: Leaderboard, further: Sequence[Metric]) -> bool:
    cells = {
        metric: [_COST_COLUMNS[metric], *(_cost_cell(board, row, metric) for row in board.rows)]
        for metric in further
    }
    return sum(1 + max(map(len, column)) for column in cells.values()) <= _MAX_BESIDE


def _print_further(console: Console, board: Leaderboard, further: Sequence[Metric]) -> None:
    """Print the other objectives as a table of their own, for want of room beside the first."""
    table = make_table(
        [
            ("trial", "left"),
            ("model", "left"),
            *((_COST_COLUMNS[metric], "right") for metric in further),
        ]
    )
    for row in board.rows:
        cells = [_cost_cell(board, row, metric) for metric in further]
        if any(cell != MISSING for cell in cells):
            table.add_row(*(Text(cell) for cell in (f"#{row.number}", row.label, *cells)))
    say(console, "what else was measured", style="bold")
    console.print(table)


def _cost_cell(board: Leaderboard, row: Row, metric: Metric) -> str:
    if metric == "robust_accuracy":
        return format_percent(row.robust_accuracy, unit=False)
    if not row.values:
        return MISSING
    value = row.values[board.metrics.index(metric)]
    if metric == "accuracy":
        return format_percent(value, unit=False)
    return format_count(round(value)) if metric == "multiply_adds" else f"{value:.3f}"


def _board_cells(board: Leaderboard, row: Row, beside: Sequence[Metric]) -> list[str]:
    metric = board.metric
    rank = MISSING if row.rank is None else str(row.rank)
    return [
        f"{rank} *" if row.on_front else rank,
        f"#{row.number}",
        row.label,
        _describe_kind(row),
        format_mean_std(metric, row.cv_mean, row.cv_std),
        format_percent(row.test_accuracy, unit=False),
        format_value(metric, row.value, unit=False),
        *(_cost_cell(board, row, further) for further in beside),
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
    if "robust_accuracy" in _further_metrics(board):
        text += " robust: on the search folds under the study's attack."
    if any(row.finalist_of is not None for row in board.rows):
        text += " finalist #n: search trial n, trained again."
    if len(board.metrics) > 1:
        metrics = ", ".join(metric.replace("_", " ") for metric in board.metrics)
        text += f" *: on the Pareto front of {metrics}: none is as good in all and better in one."
    return text
