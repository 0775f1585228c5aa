"""Histograms over epochs as heatmaps, a small one for each layer, on one scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.analysis.measured_layers import SMALLEST, bin_edges
from searchlab.report.page.blocks import Figure
from searchlab.report.page.charts import dress
from searchlab.report.page.heatmaps import FROM_ZERO

if TYPE_CHECKING:
    from searchlab.analysis.measured_layers import Distribution

__all__ = ["draw_histograms"]

_COLUMNS = 4
_ROW_HEIGHT = 190  # pixels
_LEAST_SHARE = 0.001  # an outer bin with less than this in every epoch is not drawn
_LEAST_INNER_SHARE = 0.01  # inner bins with less than this in every epoch are drawn as one
_DARKEST = 0.98  # of the shares that are not 0
_MOST_MARKS = 4  # on either side of 0


def draw_histograms(
    name: str, title: str, epochs: Sequence[int], layers: Mapping[str, Sequence[Distribution]]
) -> Figure:
    """Draw each layer's histogram by epoch: the share of values by their size and sign."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    num_columns = min(_COLUMNS, len(layers))
    num_rows = math.ceil(len(layers) / num_columns)
    figure = make_subplots(
        rows=num_rows, cols=num_columns, shared_xaxes="all", shared_yaxes="all",
        subplot_titles=[layer.replace(", ", "<br>") for layer in layers],
        horizontal_spacing=0.03, vertical_spacing=0.28 / num_rows,
    )  # fmt: skip
    axis = _Axis.of([one for each in layers.values() for one in each])
    shares: list[float] = []
    for index, each in enumerate(layers.values()):
        columns = [axis.gather(one) for one in each]
        # Zeros, such as most of a ReLU's outputs, would leave no colour to the others.
        shares += [share for one in columns for share in _without_middle(one) if share > 0]
        figure.add_trace(
            go.Heatmap(
                x=list(epochs), y=axis.rows, coloraxis="coloraxis",
                z=[[round(share, 4) or None for share in row]
                   for row in zip(*columns, strict=True)],
                text=[[axis.name(row)] * len(epochs) for row in axis.rows],
                hovertemplate="epoch %{x}, %{text}: %{z:.1%}<extra></extra>",
            ),
            row=index // num_columns + 1, col=index % num_columns + 1,
        )  # fmt: skip
    figure = dress(figure)
    figure.update_layout(
        height=max(340, 110 + _ROW_HEIGHT * num_rows),
        margin={"t": 48},
        coloraxis={
            "colorscale": FROM_ZERO, "cmin": 0, "cmax": _find_darkest(shares),
            "colorbar": {"title": "share", "tickformat": ".0%"},
        },
    )  # fmt: skip
    marks = axis.list_marks()
    figure.update_yaxes(
        tickvals=list(marks), ticktext=list(marks.values()), showgrid=False, zeroline=False,
        range=[axis.rows[0] - 0.5, axis.rows[-1] + 0.5],
    )  # fmt: skip
    figure.update_xaxes(showgrid=False, dtick=max(1, round(epochs[-1] / 4)))
    for index in range(max(0, len(layers) - num_columns), len(layers)):  # the last of each column
        figure.update_xaxes(
            title="epoch", showticklabels=True,
            row=index // num_columns + 1, col=index % num_columns + 1,
        )  # fmt: skip
    figure.update_annotations(font={"size": 12})
    return Figure(name=name, title=title, figure=figure, wide=True)


_EDGES = bin_edges()
_ZERO = len(_EDGES) // 2 - 1  # the number of the bin of zero


def _find_darkest(shares: Sequence[float]) -> float:
    """Return the share from which on all have the darkest colour: a few are not to fade the others.

    A layer of a few weights, such as a batch norm's, may have half of them in a bin.
    """
    ordered = sorted(shares) or [1.0]
    return ordered[int(_DARKEST * (len(ordered) - 1))]


def _without_middle(shares: Sequence[float]) -> list[float]:
    middle = len(shares) // 2
    return [*shares[:middle], *shares[middle + 1 :]]


@dataclass(frozen=True, slots=True)
class _Axis:
    """The rows of a heatmap, from ``-count`` to ``count``.

    Row 0 is 0 and the bins nearest to it, up to ``inner`` away; each other row is a bin.
    """

    inner: int
    count: int

    @classmethod
    def of(cls, drawn: Sequence[Distribution]) -> _Axis:
        """Return the axis on which all that matters is to be seen."""
        shares = [
            (abs(place - _ZERO), share)
            for one in drawn
            for place, share in enumerate(one.shares, start=one.first)
            if place != _ZERO
        ]
        outer = max([away for away, share in shares if share >= _LEAST_SHARE], default=1)
        least = min([away for away, share in shares if share >= _LEAST_INNER_SHARE], default=outer)
        return cls(inner=least - 1, count=max(1, outer - least + 1))

    @property
    def rows(self) -> list[int]:
        """The rows' numbers, from the lowest."""
        return list(range(-self.count, self.count + 1))

    def gather(self, one: Distribution) -> list[float]:
        """Return the share in each row; what is further out counts in the outermost."""
        shares = dict.fromkeys(self.rows, 0.0)
        for place, share in enumerate(one.shares, start=one.first):
            away = max(0, abs(place - _ZERO) - self.inner)
            row = int(math.copysign(min(away, self.count), place - _ZERO))
            shares[row] += share
        return list(shares.values())

    def name(self, row: int) -> str:
        """Return a row's range."""
        if row == 0:
            return f"within ±{_EDGES[_ZERO + 1 + self.inner]:.2g}"
        place = _ZERO + (row + self.inner if row > 0 else row - self.inner)
        return f"{_EDGES[place]:.2g} to {_EDGES[place + 1]:.2g}"

    def list_marks(self) -> dict[float, str]:
        """Return the places on the axis of 0 and of some powers of ten."""
        least = SMALLEST * 2**self.inner
        places = {
            power: math.log2(10.0**power / least) + 0.5
            for power in range(math.ceil(math.log10(least)), 5)
        }
        room = self.count / 5  # that a mark needs beside that of 0
        inside = {power: away for power, away in places.items() if room < away <= self.count + 0.5}
        step = math.ceil(len(inside) / _MOST_MARKS) if inside else 1
        marks = {0.0: "0"}
        for power, away in inside.items():
            if power % step == 0:
                marks |= {away: f"{10.0**power:g}", -away: f"-{10.0**power:g}"}
        return marks
