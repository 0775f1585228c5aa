"""The report's pictures of first-layer filters before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from searchlab.engine.diagnostics.results import FirstFilters, filters_key
from searchlab.report.formatting import MISSING
from searchlab.report.page.blocks import Block, Figure, Paragraph, Table
from searchlab.report.page.charts import dress
from searchlab.report.page.heatmaps import AROUND_ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from searchlab.analysis.measured_layers import MovedFilters
    from searchlab.report.page.findings import Findings

__all__ = ["Filtered", "describe_move", "draw_filters", "list_filters", "read_filters"]

_MOST_DRAWN = 8

Filtered = tuple[str, "MovedFilters"]
"""A model's name, and its filters."""


def read_filters(found: Findings, number: int) -> MovedFilters | None:
    """Return the filters of a trial's model; None if it has none, or they were not measured."""
    measured = found.diagnostics.read(filters_key(number), FirstFilters)
    return None if measured is None else measured.result.moved


def list_filters(
    found: Findings, groups: Sequence[tuple[str, Sequence[tuple[int, str, str]]]], *, name: str
) -> list[Block] | None:
    """Show how far filters moved, and draw each group's: its title, and number, label and short.

    ``name`` is unique in the report. None if no model's filters were measured.
    """
    numbers = {number: label for _, members in groups for number, label, _ in members}
    measured = {
        number: one.result
        for number in numbers
        if (one := found.diagnostics.read(filters_key(number), FirstFilters))
    }
    if not measured:
        return None
    moved = {number: one.moved for number, one in measured.items() if one.moved is not None}
    if not moved:
        return [Paragraph("These networks have no convolution, so no filters to draw.")]
    blocks: list[Block] = [_tabulate(numbers, moved, name)]
    for index, (title, members) in enumerate(groups):
        drawn = [(short, moved[number]) for number, _, short in members if number in moved]
        blocks += draw_filters(f"{name}-{index}", title, drawn)
    return blocks


def describe_move(moved: MovedFilters) -> str:
    """Return ``moved by 0.63, 14 % of their norm``; exactly 0 is said to be so."""
    if moved.distance == 0:
        return "did not move, by exactly 0"
    share = f", {moved.distance / moved.norm:.0%} of their norm" if moved.norm > 0 else ""
    return f"moved by {moved.distance:.3g}{share}"


def _tabulate(numbers: dict[int, str], moved: dict[int, MovedFilters], name: str) -> Table:
    return Table(
        name=name,
        title="How far training moved the filters of the first convolution",
        columns=[
            ("model", "left"), ("layer", "left"), ("filters", "right"),
            ("norm before", "right"), ("norm of the difference", "right"), ("share", "right"),
        ],
        rows=[
            [
                f"#{number} {label}",
                *(_write(moved[number]) if number in moved else [MISSING] * 5),
            ]
            for number, label in numbers.items()
        ],
    )  # fmt: skip


def _write(one: MovedFilters) -> list[str]:
    if one.distance == 0:
        return [one.layer, str(one.num_filters), f"{one.norm:.4g}", "0", "0"]
    share = f"{one.distance / one.norm:.1%}" if one.norm > 0 else MISSING
    return [
        one.layer, str(one.num_filters), f"{one.norm:.4g}",
        f"{one.distance:.4g}", share,
    ]  # fmt: skip


def draw_filters(name: str, title: str, drawn: Sequence[Filtered]) -> Iterator[Figure]:
    """Draw the filters of models below each other, before and after training.

    Each model has a scale of its own, from 0 to its largest weight drawn.
    """
    import plotly.graph_objects as go

    if not drawn:
        return
    # A column of a grid is as wide as the widest filter; between filters is a gap.
    side = max(len(row) for _, one in drawn for row in one.first[0])
    rows: list[list[float | None]] = []
    shades: list[list[float | None]] = []
    labels: dict[float, str] = {}
    for label, one in drawn:
        largest = _find_largest(one) or 1.0
        for when, pictures in (("before", one.first), ("after", one.last)):
            shown = pictures[:_MOST_DRAWN]
            height = len(shown[0])
            labels[len(rows) + (height - 1) / 2] = f"{label} {when}"
            for place in range(height):
                cells: list[float | None] = []
                for picture in shown:
                    cells += [*picture[place], *[None] * (side + 1 - len(picture[place]))]
                rows.append(cells)
                shades.append([None if cell is None else cell / largest for cell in cells])
            rows.append([])
            shades.append([])
    figure = go.Figure(
        go.Heatmap(
            z=_fill(shades), customdata=_fill(rows), colorscale=AROUND_ZERO, zmin=-1, zmax=1,
            hovertemplate="%{customdata}<extra></extra>", hoverongaps=False,
            colorbar={
                "title": "weight", "tickvals": [-1, 0, 1],
                "ticktext": ["-largest", "0", "largest"],
            },
        )
    )  # fmt: skip
    figure = dress(figure)
    count = max(len(one.first[:_MOST_DRAWN]) for _, one in drawn)
    figure.update_xaxes(
        title="filter", showgrid=False, zeroline=False, constrain="domain",
        tickvals=[index * (side + 1) + (side - 1) / 2 for index in range(count)],
        ticktext=[str(index + 1) for index in range(count)],
    )  # fmt: skip
    figure.update_yaxes(
        autorange="reversed", showgrid=False, zeroline=False, scaleanchor="x",
        tickvals=list(labels), ticktext=list(labels.values()),
    )  # fmt: skip
    figure.update_layout(height=max(340, 80 + 12 * len(rows)))
    yield Figure(name=name, title=title + _explain(drawn), figure=figure)


def _find_largest(one: MovedFilters) -> float:
    return max(
        abs(cell) for each in (one.first, one.last) for picture in each
        for row in picture for cell in row
    )  # fmt: skip


def _fill(rows: list[list[float | None]]) -> list[list[float | None]]:
    """Make all rows equally long."""
    width = max(map(len, rows))
    return [[*row, *[None] * (width - len(row))] for row in rows]


def _explain(drawn: Sequence[Filtered]) -> str:
    """Say what of the filters is drawn, if not all of it."""
    most = max(one.num_filters for _, one in drawn)
    parts = [f"the first {_MOST_DRAWN} of {most}"] if most > _MOST_DRAWN else []
    if any(one.num_channels > 1 for _, one in drawn):
        parts.append("each the mean over its channels")
    return f" ({', '.join(parts)})" if parts else ""
