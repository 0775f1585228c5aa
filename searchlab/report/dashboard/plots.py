"""The report's figure of the search on optuna-dashboard's first page, whose own tells no roles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from searchlab.report.page.search import draw_history

if TYPE_CHECKING:
    from searchlab.report.page.findings import Findings

__all__ = ["list_plots"]

_INK, _GRID = "#888888", "rgba(128,128,128,0.3)"  # to be read on white and on black


def list_plots(found: Findings) -> dict[str, str]:
    """Return the study's system attributes by which the dashboard knows a figure."""
    history = draw_history(found)
    if history is None:
        return {}
    drawn = history.figure
    drawn.update_layout(title={"text": history.title, "font": {"size": 15}}, font_color=_INK)
    drawn.update_layout(
        height=440,
        margin={"l": 60, "r": 24, "t": 56, "b": 110},
        legend={"y": -0.22, "yanchor": "top"},
    )
    for axes in (drawn.update_xaxes, drawn.update_yaxes):
        axes(linecolor=_INK, tickcolor=_INK, gridcolor=_GRID)
    text = json.dumps(_as_text(json.loads(drawn.to_json())))
    return {f"dashboard:plot_data:{history.name}:0": text}


def _as_text(part: Any) -> Any:
    """Return a part of a figure in which no name is HTML, which plotly would read."""
    if isinstance(part, dict):
        return {key: _as_text(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_as_text(value) for value in part]
    return part.replace("<", "&lt;") if isinstance(part, str) else part
