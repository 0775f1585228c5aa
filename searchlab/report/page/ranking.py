"""The report's leaderboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchlab.report.board_table import board_table
from searchlab.report.formatting import format_value, name_with_unit
from searchlab.report.legend import explain_board
from searchlab.report.page.blocks import Block, Figure, Items, Section, Table
from searchlab.report.page.charts import COLORS, make_chart, scale

if TYPE_CHECKING:
    from searchlab.report.page.findings import Findings

__all__ = ["make_ranking"]

_ROLES = {"finalist": COLORS[2], "baseline": COLORS[1]}


def make_ranking(found: Findings) -> Section:
    """List the trials by rank, and draw their folds."""
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
    if figure := _draw_folds(found):
        yield figure


def _draw_folds(found: Findings) -> Figure | None:
    ranked = [row for row in found.board.rows if row.rank is not None]
    if not ranked:
        return None
    metric = found.board.metric
    figure = make_chart(name_with_unit(metric), "")
    for role, color in _ROLES.items():
        rows = [row for row in ranked if row.role == role]
        figure.add_scatter(
            x=[scale(metric, value) for row in rows for value in row.fold_values],
            y=[row.title for row in rows for _ in row.fold_values],
            name=role, mode="markers", marker={"color": color, "opacity": 0.6},
        )  # fmt: skip
        figure.add_scatter(
            x=[scale(metric, row.cv_mean or 0.0) for row in rows], y=[row.title for row in rows],
            name=f"{role}, mean", mode="markers", showlegend=False,
            marker={"symbol": "line-ns-open", "size": 16, "color": color, "line": {"width": 3}},
        )  # fmt: skip
    names = [row.title for row in ranked]
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    figure.update_layout(height=140 + 26 * len(ranked))
    return Figure(name="folds", title="Each fold, and the mean", figure=figure, wide=True)
