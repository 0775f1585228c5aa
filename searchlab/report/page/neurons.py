"""The report's figures on neurons that respond alike, within a model and between models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.engine.diagnostics.results import Neurons, choose_compared, neurons_key
from searchlab.report.formatting import MISSING
from searchlab.report.page.blocks import Block, Figure, Paragraph, Table
from searchlab.report.page.charts import dress
from searchlab.report.page.heatmaps import AROUND_ZERO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from searchlab.engine.diagnostics.results import CorrelatedNeurons, LayerName, ModelPair
    from searchlab.report.page.findings import Findings

__all__ = ["list_neurons"]

_LAYERS: dict[LayerName, str] = {"features": "before the last layer", "logits": "logits"}


def list_neurons(found: Findings) -> list[Block] | None:
    """Show how alike each model's neurons respond, and the models; None if it was not measured."""
    compared = choose_compared(found.subjects, found.reading.records)
    measured = found.diagnostics.read(neurons_key(compared), Neurons)
    if measured is None:
        return None
    names = {record.number: f"#{record.number} {record.label}" for record in compared}
    result = measured.result
    if not result.layers:
        return [Paragraph("No model has two neurons that respond to the test images.")]
    blocks: list[Block] = [
        _tabulate(result, names),
        Paragraph(
            "The mean and the deviation count the diagonal of ones, as report 003 did; the mean of "
            "pairs leaves it out, so that layers of any size compare."
        ),
    ]
    if result.pairs:
        blocks.append(_tabulate_pairs(result.pairs, names))
    return [*blocks, *(_draw(one, names) for one in result.layers)]


def _tabulate(result: Neurons, names: Mapping[int, str]) -> Table:
    return Table(
        name="correlations",
        title=f"Correlations of a layer's neurons over {result.num_images:,} test images",
        columns=[
            ("model", "left"), ("layer", "left"), ("neurons", "right"), ("silent", "right"),
            ("mean", "right"), ("standard deviation", "right"), ("mean of pairs", "right"),
        ],
        rows=[
            [
                names[one.number],
                _LAYERS[one.layer],
                _count(one),
                f"{one.figures.num_silent:,}",
                f"{one.figures.mean:.4f}",
                f"{one.figures.std:.4f}",
                f"{one.figures.off_diagonal:.4f}",
            ]
            for one in result.layers
        ],
    )  # fmt: skip


def _count(one: CorrelatedNeurons) -> str:
    taken = one.figures.num_neurons
    return f"{taken:,}" if taken == one.num_all else f"{taken:,} of {one.num_all:,}"


def _tabulate_pairs(pairs: list[ModelPair], names: Mapping[int, str]) -> Table:
    known = {(pair.one, pair.other, pair.layer): f"{pair.cka:.3f}" for pair in pairs}
    return Table(
        name="similarity",
        title="How alike two models represent the images (linear CKA, from 0 to 1)",
        columns=[
            ("model", "left"), ("other", "left"), *((title, "right") for title in _LAYERS.values()),
        ],
        rows=[
            [
                names[one],
                names[other],
                *(known.get((one, other, layer), MISSING) for layer in _LAYERS),
            ]
            for one, other in dict.fromkeys((pair.one, pair.other) for pair in pairs)
        ],
    )  # fmt: skip


def _draw(one: CorrelatedNeurons, names: Mapping[int, str]) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Heatmap(
            z=one.matrix, colorscale=AROUND_ZERO, zmin=-1, zmax=1,
            hovertemplate="%{y} with %{x}: %{z}<extra></extra>",
            colorbar={"title": "correlation"},
        )
    )  # fmt: skip
    figure = dress(figure)
    figure.update_xaxes(title="neuron", showgrid=False, constrain="domain")
    figure.update_yaxes(autorange="reversed", showgrid=False, scaleanchor="x")
    figure.update_layout(height=400)
    drawn, responding = len(one.matrix), one.figures.num_neurons - one.figures.num_silent
    thinned = f", {drawn} of {responding:,} neurons that respond" if drawn < responding else ""
    return Figure(
        name=f"correlations-{one.number}-{one.layer}",
        title=f"Correlations in {names[one.number]}, {_LAYERS[one.layer]}{thinned}",
        figure=figure,
    )
