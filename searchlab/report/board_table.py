"""The leaderboard as a table: on a terminal, or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.config.metrics import Metric, get_metric
from searchlab.report.formatting import (
    MISSING,
    format_mean_std,
    format_seconds,
    format_value,
    name_with_unit,
)
from searchlab.report.layout import Column, make_table, markdown_table, plain_text, say
from searchlab.report.legend import explain_board

if TYPE_CHECKING:
    from rich.console import Console

    from searchlab.report.leaderboard import Leaderboard, Row
    from searchlab.report.verdict import Verdict

__all__ = [
    "board_markdown",
    "board_table",
    "print_leaderboard",
    "print_verdict",
    "verdict_markdown",
]

_PARAMETERS = get_metric("parameters")  # which has a column of its own


def print_leaderboard(console: Console, board: Leaderboard, *, legend: bool = False) -> None:
    """Print the rows; with ``legend`` also what the columns mean."""
    further = _find_further(board)
    beside = further if _have_room(board, further) else []
    table = make_table(_board_columns(board, beside))
    for row in board.rows:
        style = "bold" if row.rank == 1 else "" if row.rank else "dim"
        table.add_row(*(plain_text(cell) for cell in _board_cells(board, row, beside)), style=style)
    say(console, _title(board), style="bold")
    console.print(table)
    if further and not beside:
        _print_further(console, board, further)
    if legend:
        _print_legend(console, board, further)
    if options := _list_options(board, legend=legend):
        say(console, f"study leaderboard: {options}", style="dim")


def _list_options(board: Leaderboard, *, legend: bool) -> str:
    trials = "trial" if board.num_hidden == 1 else "trials"
    options = [f"--all for {board.num_hidden} more search {trials}"] if board.num_hidden else []
    return ", ".join(options if legend else [*options, "--legend for the columns"])


def board_markdown(board: Leaderboard, *, legend: bool = False) -> str:
    """Return the same as Markdown, every column in one table."""
    text = f"{_title(board)}\n\n{markdown_table(*board_table(board))}"
    if legend:
        meanings = explain_board(board, [one.metric for one in _find_further(board)])
        text += "\n" + "".join(f"- {column}: {meaning}\n" for column, meaning in meanings)
    return text


def board_table(board: Leaderboard) -> tuple[list[Column], list[list[str]]]:
    """Return every column of a leaderboard, and its rows as text."""
    further = _find_further(board)
    rows = [_board_cells(board, row, further) for row in board.rows]
    return _board_columns(board, further), rows


def _print_legend(console: Console, board: Leaderboard, further: Sequence[_Further]) -> None:
    table = make_table([("", "left"), ("meaning", "left")], show_header=False)
    for meaning in explain_board(board, [one.metric for one in further]):
        table.add_row(*map(plain_text, meaning), style="dim")
    console.print()
    console.print(table)


def print_verdict(console: Console, verdict: Verdict) -> None:
    """Print what the whole leaderboard comes to."""
    say(console, verdict.text + ".", style="bold")
    if verdict.details:
        say(console, " ".join(verdict.details))


def verdict_markdown(verdict: Verdict) -> str:
    """Return the same as Markdown."""
    return f"**{verdict.text}.** {' '.join(verdict.details)}".rstrip() + "\n"


def _title(board: Leaderboard) -> str:
    return f"{board.study}: leaderboard ({name_with_unit(board.metric)})"


def _board_columns(board: Leaderboard, beside: Sequence[_Further]) -> list[Column]:
    return [
        ("", "right"),
        ("trial", "left"),
        ("model", "left"),
        ("kind", "left"),
        (f"{board.num_folds}-fold", "right"),
        ("test", "right"),
        ("search", "right"),
        *((one.title, "right") for one in beside),
        (_PARAMETERS.column, "right"),
        ("ep", "right"),
        ("s", "right"),
    ]  # fmt: skip


_MAX_BESIDE = 13  # characters that further columns may take of the names' at 80 columns


@dataclass(frozen=True, slots=True, kw_only=True)
class _Further:
    """A column of another metric: its figures on the search folds, or on the test set."""

    metric: Metric
    is_test: bool

    @property
    def title(self) -> str:
        return f"test {self.metric.column}" if self.is_test else self.metric.column

    def cell(self, row: Row) -> str:
        figures = row.test_figures if self.is_test else row.figures
        return format_value(self.metric.name, figures.get(self.metric.name), unit=False)


def _find_further(board: Leaderboard) -> list[_Further]:
    """Return what there is to show beside the objective and the columns that every board has."""
    columns = [
        _Further(metric=get_metric(name), is_test=is_test)
        for name in board.further_metrics
        if name != _PARAMETERS.name
        for is_test in (False, True)
    ]
    return [one for one in columns if any(one.cell(row) != MISSING for row in board.rows)]


def _have_room(board: Leaderboard, further: Sequence[_Further]) -> bool:
    columns = [[one.title, *(one.cell(row) for row in board.rows)] for one in further]
    return sum(1 + max(map(len, column)) for column in columns) <= _MAX_BESIDE


def _print_further(console: Console, board: Leaderboard, further: Sequence[_Further]) -> None:
    """Print the other metrics as a table of their own, because there is no room beside."""
    table = make_table(
        [("trial", "left"), ("model", "left"), *((one.title, "right") for one in further)]
    )
    for row in board.rows:
        cells = [one.cell(row) for one in further]
        if any(cell != MISSING for cell in cells):
            table.add_row(*(plain_text(cell) for cell in (f"#{row.number}", row.name, *cells)))
    say(console, "further metrics", style="bold")
    console.print(table)


def _board_cells(board: Leaderboard, row: Row, beside: Sequence[_Further]) -> list[str]:
    metric = board.metric
    rank = MISSING if row.rank is None else str(row.rank)
    return [
        f"{rank} *" if row.on_front else rank,
        f"#{row.number}",
        row.name,
        _describe_kind(row),
        format_mean_std(metric, row.cv_mean, row.cv_std),
        format_value(metric, row.test_figures.get(metric), unit=False),
        format_value(metric, row.value, unit=False),
        *(one.cell(row) for one in beside),
        format_value(_PARAMETERS.name, row.figures.get(_PARAMETERS.name)),
        str(row.epochs),
        format_seconds(row.seconds),
    ]


def _describe_kind(row: Row) -> str:
    """Write ``finalist``, ``search pruned``, ``baseline diverged``."""
    if row.state == "COMPLETE":
        return row.role
    state = "failed" if row.state == "FAIL" else row.state.lower()
    if row.stop_reason and row.stop_reason != "error":
        state = row.stop_reason
    return f"{row.role} {state}"
