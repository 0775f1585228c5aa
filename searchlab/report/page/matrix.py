"""A figure of which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from searchlab.report.page.blocks import Figure
from searchlab.report.page.charts import dress, label_categories

if TYPE_CHECKING:
    from searchlab.analysis.confusions import Counts

__all__ = ["draw_matrix"]


def draw_matrix(counts: Counts, names: Sequence[str], *, name: str, title: str) -> Figure:
    """Draw the errors among counts [C, C] by true class and answer, in % of each class."""
    import plotly.graph_objects as go

    shares = np.round(100 * counts / counts.sum(1, keepdims=True).clip(1e-9), 2)
    errors = [
        [None if row == column else share for column, share in enumerate(line)]
        for row, line in enumerate(shares.tolist())
    ]
    labels = label_categories(names)
    figure = go.Figure(
        go.Heatmap(
            z=errors, x=labels, y=labels, colorscale="Oranges", zmin=0,
            colorbar={"title": "% of a class"},
            hovertemplate="%{y} taken for %{x}: %{z} %<extra></extra>",
        )
    )  # fmt: skip
    figure = dress(figure)
    figure.update_xaxes(title="answer", type="category", showgrid=False)
    figure.update_yaxes(title="true class", type="category", autorange="reversed", showgrid=False)
    figure.update_layout(height=420)
    return Figure(name=name, title=title, figure=figure)
