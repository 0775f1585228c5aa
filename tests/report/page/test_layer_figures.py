"""What a report says and draws of a network's layers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from searchlab.analysis.distributions import DistributionCounter
from searchlab.analysis.measured_layers import Distribution, LayerProbe
from searchlab.config.trained_folds import Machine
from searchlab.engine.diagnostics.results import ProbedEpoch, ProbedTraining
from searchlab.report.page.blocks import Figure, Table
from searchlab.report.page.histograms import draw_histograms
from searchlab.report.page.layers import describe_dead, describe_gradients, list_layers


def count(*values: float) -> Distribution:
    counter = DistributionCounter()
    counter.add(torch.tensor(values))
    return counter.result()


def make_layer(name: str, kind: str = "Linear", **changes: Any) -> LayerProbe:
    fields: dict[str, Any] = {
        "units": 8,
        "dead": None,
        "activation": count(0.0, 1.0, -2.0),
        "gradient": count(0.1, -0.1) if kind != "ReLU" else None,
        "is_frozen": False,
    }
    return LayerProbe(name=name, kind=kind, **{**fields, **changes})


def make_training(*epochs: Sequence[LayerProbe]) -> ProbedTraining:
    return ProbedTraining(
        num_images=512,
        is_same=True,
        machine=Machine(device="cpu", torch="2", num_threads=1),
        epochs=[
            ProbedEpoch(epoch=index, layers=list(layers)) for index, layers in enumerate(epochs)
        ],
    )


def list_blocks(training: ProbedTraining) -> dict[str, Figure | Table]:
    blocks = list_layers(3, "#3 cnn", training)
    return {one.name: one for one in blocks if isinstance(one, Figure | Table)}


def relu(name: str, dead: int) -> LayerProbe:
    return make_layer(name, "ReLU", dead=dead)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([relu("r1", 0), relu("r2", 0)], "None of the 16 ReLU units of #3 cnn is dead."),
        (
            [relu("r1", 0), relu("r2", 1)],
            "1 of the 16 ReLU units of #3 cnn is dead (1 of 8 in r2): 0 on each of 512 images.",
        ),
        (
            [relu("r1", 3), relu("r2", 8)],
            "11 of the 16 ReLU units of #3 cnn are dead (all 8 in r2): 0 on each of 512 images.",
        ),
        ([make_layer("fc1")], "#3 cnn has no ReLU layer, so no units that can die."),
    ],
)
def test_dead_units_after_the_last_epoch_are_said(layers: list[LayerProbe], sentence: str) -> None:
    before = [make_layer("r1", "ReLU", dead=7)]
    assert describe_dead("#3 cnn", make_training(before, layers)) == sentence


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (count(0.01, -0.01), count(0.1, 0.1), "c1, is 10 times smaller than that of the last, fc"),
        (count(0.1, -0.1), count(0.05, 0.05), "c1, is 2 times larger than that of the last, fc"),
        (count(0.1, -0.1), count(0.1, 0.1), "c1, is as large as that of the last, fc"),
        (count(0.0, 0.0), count(0.1, 0.1), "No gradient reaches c1 of #3 cnn after epoch 0"),
        (None, count(0.1, 0.1), "fewer than two trained layers"),
    ],
)
def test_gradients_of_the_first_and_the_last_trained_layer_are_compared(
    first: Distribution | None, last: Distribution, words: str
) -> None:
    layers = [
        make_layer("frozen", gradient=None, is_frozen=True),
        make_layer("c1", gradient=first),
        relu("r1", 0),
        make_layer("fc", gradient=last),
    ]
    assert words in describe_gradients("#3 cnn", make_training(layers))


def test_batch_norm_and_relu_stand_under_their_kinds() -> None:
    layers = [
        make_layer("conv1", "Conv2d", gradient=None, is_frozen=True),
        make_layer("norm1", "BatchNorm2d"),
        relu("activation1", 2),
        make_layer("fc1"),
    ]
    blocks = list_blocks(make_training(layers, layers))
    table = blocks["layers-3"]
    assert isinstance(table, Table)
    cells = {row[0]: (row[1], row[3], row[7]) for row in table.rows}
    assert cells == {
        "conv1": ("Conv2d", "-", "frozen"),
        "norm1": ("BatchNorm2d", "-", "1.00e-01"),
        "activation1": ("ReLU", "2", "-"),
        "fc1": ("Linear", "-", "1.00e-01"),
    }
    titles = {
        name: [one.text for one in figure.figure.layout.annotations]
        for name, figure in blocks.items()
        if isinstance(figure, Figure)
    }
    assert titles["gradients-3"] == ["norm1<br>BatchNorm2d", "fc1<br>Linear"]
    assert "activation1<br>ReLU" in titles["activations-3"]


def test_dead_units_are_drawn_only_if_there_are_any() -> None:
    assert "dead-3" not in list_blocks(make_training([relu("r1", 0)], [relu("r1", 0)]))
    figure = list_blocks(make_training([relu("r1", 0)], [relu("r1", 8)]))["dead-3"]
    assert isinstance(figure, Figure)
    assert list(figure.figure.data[0].y) == [0, 8]


def test_deep_networks_are_thinned_and_that_is_said() -> None:
    layers = [make_layer(f"fc{index}") for index in range(155)]
    blocks = list_blocks(make_training(layers, layers))
    table, figure = blocks["layers-3"], blocks["activations-3"]
    assert isinstance(table, Table)
    assert isinstance(figure, Figure)
    assert (len(table.rows), table.rows[0][0], table.rows[-1][0]) == (60, "fc0", "fc154")
    assert table.title.endswith("(60 of 155 layers)")
    assert len(figure.figure.data) == 16
    assert figure.title.endswith("16 of 155 layers")


def test_a_histogram_shows_every_value_by_its_size_and_sign() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(10_000, generator=generator).relu()
    values[:10] = -1e-6
    counter = DistributionCounter()
    counter.add(values)
    figure = draw_histograms("h", "t", [0, 1], {"conv1, Conv2d": [counter.result()] * 2}).figure
    [trace] = figure.data
    shares = dict(zip(trace.y, trace.z, strict=True))
    assert sum(share[0] or 0 for share in shares.values()) == pytest.approx(1, abs=0.01)
    assert shares[0][0] == pytest.approx(float((values <= 0.02).double().mean()), abs=0.02)
    assert all(share[0] is None for place, share in shares.items() if place < 0)
    ranges = dict(zip(trace.y, (text[0] for text in trace.text), strict=True))
    for place, text in ranges.items():
        if place > 0 and place < trace.y[-1]:
            low, high = map(float, re.fullmatch(r"(.+) to (.+)", text).groups())  # type: ignore[union-attr]
            inside = ((values >= low * 0.99) & (values < high * 1.01)).double().mean()
            assert shares[place][0] or pytest.approx(float(inside), abs=0.01) == 0
    assert figure.layout.coloraxis.cmax < 0.3, "zeros leave the colours to the others"
    marks = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    assert marks["1"] == -marks["-1"]
    [row] = [place for place, text in ranges.items() if text.startswith("1 to ")]
    assert marks["1"] == pytest.approx(row - 0.5), "a power of two is the lower edge of its bin"
