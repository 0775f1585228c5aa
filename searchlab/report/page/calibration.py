"""The report's figure on calibration: whether the models that are sure are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.engine.diagnostics.errors import ModelErrors, errors_key
from searchlab.report.page.blocks import Block, Figure, Paragraph
from searchlab.report.page.charts import dress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from searchlab.analysis.calibration import Calibration
    from searchlab.report.page.findings import Findings

__all__ = ["list_calibration"]


def list_calibration(found: Findings) -> list[Block]:
    """Show how sure the models are, and how often they are right then."""
    measured = {
        found.name(record.number): errors.result.calibration
        for record in found.subjects
        if (errors := found.diagnostics.read(errors_key(record.number), ModelErrors))
    }
    if not measured:
        return [Paragraph(f"Calibration: {found.explain_missing('errors')}")]
    sentences = [
        f"{name} has an expected calibration error of {one.error:.2%}: {_describe(one)}."
        for name, one in measured.items()
    ]
    return [Paragraph(" ".join(sentences)), _draw(measured)]


def _describe(one: Calibration) -> str:
    images = sum(each.images for each in one.bins)
    sure = sum(each.images * each.confidence for each in one.bins) / images
    right = sum(each.images * each.accuracy for each in one.bins) / images
    return f"it is {sure:.2%} sure of its answers on average, and {right:.2%} are right"


def _draw(measured: Mapping[str, Calibration]) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, one in measured.items():
        figure.add_scatter(
            x=[each.confidence for each in one.bins],
            y=[each.accuracy for each in one.bins],
            customdata=[each.images for each in one.bins],
            mode="lines+markers",
            name=name,
            hovertemplate="%{y:.1%} right at %{x:.1%} sure, %{customdata} images",
        )
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="as sure as right", line={"dash": "dot"}
    )
    figure = dress(figure)
    figure.update_xaxes(title="confidence", tickformat=".0%")
    figure.update_yaxes(title="right answers", tickformat=".0%")
    return Figure(name="calibration", title="How often answers are right", figure=figure)
