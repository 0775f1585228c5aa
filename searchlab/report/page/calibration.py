"""The report's figure on calibration: whether the models that are sure are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.engine.diagnostics.results import ModelErrors, Untempered, errors_key
from searchlab.report.page.blocks import Block, Figure, Paragraph
from searchlab.report.page.charts import COLORS, make_chart

if TYPE_CHECKING:
    from collections.abc import Mapping

    import plotly.graph_objects as go

    from searchlab.analysis.calibration import Calibration
    from searchlab.report.page.findings import Findings

__all__ = ["list_calibration"]


def list_calibration(found: Findings) -> list[Block]:
    """Show how sure the models are, and how often they are right then."""
    measured = {
        found.name(record.number): errors.result
        for record in found.subjects
        if (errors := found.diagnostics.read(errors_key(record.number), ModelErrors))
    }
    if not measured:
        return [Paragraph(f"Calibration: {found.explain_missing('errors')}")]
    sentences = [
        f"{name} has an expected calibration error of {one.calibration.error:.2%}: "
        f"{_describe(one.calibration)}. {_describe_temperature(one)}"
        for name, one in measured.items()
    ]
    return [Paragraph(" ".join(sentences)), _draw(measured)]


def _describe(one: Calibration) -> str:
    images = sum(each.images for each in one.bins)
    sure = sum(each.images * each.confidence for each in one.bins) / images
    right = sum(each.images * each.accuracy for each in one.bins) / images
    return f"it is {sure:.2%} sure of its answers on average, and {right:.2%} are right"


_WHY_UNTEMPERED: dict[Untempered, str] = {
    "too large": "the predictions of its held-out images are too large to be kept",
    "taken over": "it took all its folds over from its search trial, so it has no models of them",
    "not kept": "the run has no predictions of the images that its folds held out: it is of an "
    "earlier version, or has lost them",
}


def _describe_temperature(one: ModelErrors) -> str:
    if one.tempered is None:
        why = _WHY_UNTEMPERED[one.untempered or "not kept"]
        return f"It has no temperature, because {why}."
    before, after = one.calibration, one.tempered.calibration
    return (
        f"At a temperature of {one.tempered.temperature:.2f}, fitted on {one.tempered.images:,} "
        f"held-out training images, the error is {after.error:.2%} and the loss {after.loss:.4f} "
        f"instead of {before.loss:.4f}."
    )


def _draw(measured: Mapping[str, ModelErrors]) -> Figure:
    figure = make_chart("confidence", "right answers")
    for (name, one), color in zip(measured.items(), COLORS, strict=False):
        _add_curve(figure, name, one.calibration, {"color": color})
        if one.tempered is not None:
            tempered = f"{name}<br>at its temperature"  # or else a phone cuts it
            _add_curve(figure, tempered, one.tempered.calibration, {"color": color, "dash": "dash"})
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="as sure as right",
        line={"color": COLORS[-1], "dash": "dot"},
    )  # fmt: skip
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".0%")
    return Figure(name="calibration", title="How often answers are right", figure=figure)


def _add_curve(figure: go.Figure, name: str, one: Calibration, line: dict[str, str]) -> None:
    figure.add_scatter(
        x=[each.confidence for each in one.bins],
        y=[each.accuracy for each in one.bins],
        customdata=[each.images for each in one.bins],
        mode="lines+markers",
        name=name,
        line=line,
        hovertemplate="%{y:.1%} right at %{x:.1%} sure, %{customdata} images",
    )
