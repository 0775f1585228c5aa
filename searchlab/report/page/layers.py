"""The report's figures on the layers of a network while it trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from searchlab.report.formatting import MISSING
from searchlab.report.page.blocks import Block, Figure, Table
from searchlab.report.page.charts import COLORS, add_line, count_in_wholes, make_chart
from searchlab.report.page.histograms import draw_histograms

if TYPE_CHECKING:
    from searchlab.analysis.measured_layers import LayerProbe
    from searchlab.engine.diagnostics.results import ProbedTraining

__all__ = ["describe_dead", "describe_gradients", "list_layers"]

_MOST_ROWS = 60
_MOST_DRAWN = 16  # layers with a histogram
_HEIGHT = 440  # because names of layers stand upright where there are many


def list_layers(number: int, name: str, probed: ProbedTraining) -> Iterator[Block]:
    """Show the layers of the trial ``number``, which is called ``name``."""
    yield _tabulate(number, name, probed)
    yield from _draw_gradients(number, name, probed)
    yield from _draw_dead(number, name, probed)
    for what, kind in (("gradient", "Gradients of the weights"), ("activation", "Activations")):
        histories = {
            layer: [getattr(one, what) for one in over_epochs]
            for layer, over_epochs in _by_layer(probed).items()
        }
        known = {layer: each for layer, each in histories.items() if None not in each}
        chosen = _thin(list(known), _MOST_DRAWN)
        if chosen:
            thinned = f", {len(chosen)} of {len(known)} layers" if len(chosen) < len(known) else ""
            yield draw_histograms(
                f"{what}s-{number}",
                f"{kind} of {name} by epoch{thinned}",
                [one.epoch for one in probed.epochs],
                {layer: known[layer] for layer in chosen},
            )


def describe_dead(name: str, probed: ProbedTraining) -> str:
    """Return a sentence on the ReLU units that answer no image, after the last epoch."""
    layers = [one for one in probed.epochs[-1].layers if one.dead is not None]
    if not layers:
        return f"{name} has no ReLU layer, so no units that can die."
    dead = [one for one in layers if one.dead]
    units = sum(one.units for one in layers)
    if not dead:
        return f"None of the {units:,} ReLU units of {name} is dead."
    total = sum(one.dead or 0 for one in dead)
    worst = max(dead, key=lambda one: (one.dead or 0) / one.units)
    most = f"all {worst.units}" if worst.dead == worst.units else f"{worst.dead} of {worst.units}"
    return (
        f"{total:,} of the {units:,} ReLU units of {name} {'is' if total == 1 else 'are'} dead "
        f"({most} in {worst.name}): 0 on each of {probed.num_images} images."
    )


def describe_gradients(name: str, probed: ProbedTraining) -> str:
    """Return a sentence that compares the first and the last layer's gradients."""
    last = probed.epochs[-1]
    trained = _with_gradient(last.layers)
    if len(trained) < 2:
        return f"{name} has fewer than two trained layers whose gradients could be compared."
    first, final = trained[0], trained[-1]
    sizes = [_size(one) for one in (first, final)]
    if sizes[1] == 0 or sizes[0] == 0:
        which = final if sizes[1] == 0 else first
        return f"No gradient reaches {which.name} of {name} after epoch {last.epoch}."
    ratio = sizes[0] / sizes[1]
    how = "smaller" if ratio < 1 else "larger"
    factor = 1 / ratio if ratio < 1 else ratio
    compared = (
        f"{factor:.3g} times {how} than that of the last, {final.name}"
        if factor >= 1.05
        else f"as large as that of the last, {final.name}"
    )
    return f"In {name} the gradient of the first trained layer, {first.name}, is {compared}."


def _size(one: LayerProbe) -> float:
    """Return the root mean square of a layer's gradient."""
    assert one.gradient is not None
    return float((one.gradient.mean**2 + one.gradient.std**2) ** 0.5)


def _with_gradient(layers: Sequence[LayerProbe]) -> list[LayerProbe]:
    return [one for one in layers if one.gradient is not None]


def _by_layer(probed: ProbedTraining) -> dict[str, list[LayerProbe]]:
    """Return every layer's probes by its name and kind."""
    layers: dict[str, list[LayerProbe]] = {}
    for epoch in probed.epochs:
        for one in epoch.layers:
            layers.setdefault(f"{one.name}, {one.kind}", []).append(one)
    return layers


def _thin(names: list[str], most: int) -> list[str]:
    if len(names) <= most:
        return names
    return [names[round(place * (len(names) - 1) / (most - 1))] for place in range(most)]


def _tabulate(number: int, name: str, probed: ProbedTraining) -> Table:
    layers = _by_layer(probed)
    shown = _thin(list(layers), _MOST_ROWS)
    thinned = f" ({len(shown)} of {len(layers)} layers)" if len(shown) < len(layers) else ""
    last = probed.epochs[-1].epoch
    return Table(
        name=f"layers-{number}",
        title=f"Layers of {name} after epoch {last}, and before the first{thinned}",
        columns=[
            ("layer", "left"), ("kind", "left"), ("units", "right"), ("dead", "right"),
            ("dead before", "right"), ("zeros", "right"), ("activation", "right"),
            ("gradient", "right"), ("gradient before", "right"),
        ],
        rows=[_write_row(layers[one][0], layers[one][-1]) for one in shown],
    )  # fmt: skip


def _write_row(before: LayerProbe, after: LayerProbe) -> list[str]:
    activation = after.activation
    return [
        after.name,
        after.kind,
        f"{after.units:,}",
        *(MISSING if one.dead is None else f"{one.dead:,}" for one in (after, before)),
        f"{activation.zeros:.1%}",
        f"{activation.mean:.3g} ± {activation.std:.3g}",
        *(_write_gradient(one) for one in (after, before)),
    ]


def _write_gradient(one: LayerProbe) -> str:
    if one.is_frozen:
        return "frozen"
    return MISSING if one.gradient is None else f"{_size(one):.2e}"


def _draw_gradients(number: int, name: str, probed: ProbedTraining) -> Iterator[Figure]:
    """Draw the size of the gradient from the first layer to the last, at a few epochs."""
    if len(_with_gradient(probed.epochs[-1].layers)) < 2:
        return
    figure = make_chart("layer, from first to last", "root mean square of the gradient")
    places = dict.fromkeys((0, (len(probed.epochs) - 1) // 2, len(probed.epochs) - 1))
    for index, place in enumerate(places):
        one = probed.epochs[place]
        trained = _with_gradient(one.layers)
        figure.add_scatter(
            x=[layer.name for layer in trained],
            y=[_size(layer) or None for layer in trained],  # 0 has no place on a logarithmic axis
            customdata=[layer.kind for layer in trained],
            name="before the first epoch" if one.epoch == 0 else f"after epoch {one.epoch}",
            mode="lines+markers",
            line={"color": COLORS[index]},
            hovertemplate="%{x} (%{customdata}): %{y:.2e}",
        )
    sizes = [size for trace in figure.data for size in trace.y if size]
    is_narrow = bool(sizes) and max(sizes) < 100 * min(sizes)
    figure.update_yaxes(type="log", dtick="D2" if is_narrow else 1)  # D2: 1, 2 and 5 of each power
    figure.update_yaxes(tickformat=".0e" if is_narrow else None)
    figure.update_xaxes(type="category")
    figure.update_layout(height=_HEIGHT)
    yield Figure(name=f"depth-{number}", title=f"Gradients by depth in {name}", figure=figure)


def _draw_dead(number: int, name: str, probed: ProbedTraining) -> Iterator[Figure]:
    """Draw the dead units of each ReLU layer by epoch, if there are any."""
    histories = {
        layer: [one.dead or 0 for one in each]
        for layer, each in _by_layer(probed).items()
        if any(one.dead for one in each)
    }
    if not histories:
        return
    figure = make_chart("epoch", "dead units")
    epochs = [one.epoch for one in probed.epochs]
    worst = sorted(histories, key=lambda layer: -max(histories[layer]))[: len(COLORS)]
    for index, layer in enumerate(layer for layer in histories if layer in worst):
        add_line(figure, layer, epochs, histories[layer], color=COLORS[index])
    figure.update_layout(height=_HEIGHT, showlegend=True)
    figure.update_yaxes(rangemode="tozero")
    count_in_wholes(figure, epochs[-1])
    left_out = len(histories) - len(worst)
    thinned = f" (the {len(worst)} layers with most of {len(histories)})" if left_out else ""
    yield Figure(name=f"dead-{number}", title=f"Dead ReLU units of {name}{thinned}", figure=figure)
