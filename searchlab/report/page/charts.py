"""How the report's figures look. Colours are told apart by the colour-blind (Okabe and Ito)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from searchlab.config.metrics import get_metric

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "COLORS",
    "add_band",
    "add_line",
    "count_in_wholes",
    "dress",
    "label_categories",
    "make_chart",
    "scale",
]

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
_BAND = 0.15  # opacity
_MOST_LETTERS = 20


def scale(metric: str, value: float) -> float:
    """Return a metric's figure in its unit, such as percent."""
    return get_metric(metric).unit.scale * value


def make_chart(x_title: str, y_title: str) -> go.Figure:
    """Return an empty figure."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title)
    return dress(figure)


def dress(figure: go.Figure) -> go.Figure:
    """Give a figure the report's look: no background, so that the page's colours show."""
    figure.update_layout(
        template="simple_white",
        title=None,
        colorway=COLORS,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 16, "t": 16, "b": 48},
        height=340,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hovermode="closest",
    )
    figure.update_xaxes(automargin=True, showgrid=True)
    figure.update_yaxes(automargin=True, showgrid=True)
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(exponentformat="none", selector={"type": "log"})  # or else 0.0001 is 100µ
    return figure


def label_categories(names: Sequence[str]) -> list[str]:
    """Return names for a category axis: text, whatever is in them, not too long, each another."""
    short = [name if len(name) <= _MOST_LETTERS else f"{name[:_MOST_LETTERS]}…" for name in names]
    if len({*short}) < len(short):
        short = [f"{index} {name}" for index, name in enumerate(short)]
    # plotly takes some tags of HTML for formatting.
    return [name.replace("&", "&amp;").replace("<", "&lt;") for name in short]


def count_in_wholes(figure: go.Figure, most: int) -> None:
    """Mark the x axis of epochs from 1 to ``most`` at whole numbers."""
    figure.update_xaxes(dtick=max(1, round(most / 8)), tick0=1 if most < 12 else 0)


def add_line(
    figure: go.Figure, name: str, x: Sequence[float], y: Sequence[float], *, color: str
) -> None:
    """Add a line."""
    figure.add_scatter(x=list(x), y=list(y), name=name, mode="lines", line={"color": color})


def add_band(
    figure: go.Figure, name: str, low: Sequence[float], high: Sequence[float], *, color: str
) -> None:
    """Add a band between two curves over 1, 2, ..., which belongs to the line called ``name``."""
    x = list(range(1, len(low) + 1))
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    figure.add_scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        name=name,
        mode="lines",
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},{_BAND})",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
