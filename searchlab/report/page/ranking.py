"""The report's leaderboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchlab.report.board_table import board_table
from searchlab.report.formatting import format_value
from searchlab.report.legend import explain_board
from searchlab.report.page.blocks import Block, Items, Section, Table

if TYPE_CHECKING:
    from searchlab.report.page.findings import Findings

__all__ = ["make_ranking"]


def make_ranking(found: Findings) -> Section:
    """List the trials by rank."""
    ranked = [row for row in found.board.rows if row.rank is not None]
    says = "No finalist or baseline has finished on all folds yet."
    if ranked:
        first, last = ranked[0], ranked[-1]
        metric = found.board.metric
        says = (
            f"{first.title} is first of {len(ranked)} with "
            f"{format_value(metric, first.cv_mean)} over {found.board.num_folds} folds; the last "
            f"has {format_value(metric, last.cv_mean)}."
        )
    return Section(key="leaderboard", title="Leaderboard", says=says, blocks=[*_make(found)])


def _make(found: Findings) -> Iterator[Block]:
    columns, rows = board_table(found.board)
    title = f"Ranked by the mean over {found.board.num_folds} folds"
    if found.board.num_hidden:
        title += f" ({found.board.num_hidden} more search trials are in study leaderboard --all)"
    yield Table(
        name="leaderboard", title=title, columns=columns, rows=rows,
        bold=frozenset(i for i, row in enumerate(found.board.rows) if row.rank == 1),
    )  # fmt: skip
    further = explain_board(found.board, [])
    yield Items(title="Columns", items=[f"{name}: {meaning}" for name, meaning in further])
