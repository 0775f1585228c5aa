"""The check of initial weights: it passes what is right, and finds a single wrong weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch

from searchlab.analysis.initial_weights import (
    InitialWeights,
    LayerComparison,
    compare_grid,
    compare_with_saved,
)
from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import SCHEMES, ModelConfig, Scheme
from searchlab.errors import InputError, SearchlabError
from searchlab.models import get_family
from searchlab.models.build import build_model
from searchlab.models.saved_weights import copy_weights
from searchlab.report.weights_check import MemberCheck, require_all_ok

Weights = dict[str, torch.Tensor]


def rebuild(
    architecture: str, scheme: Scheme, *, fold: int = 0, init: str = "default"
) -> InitialWeights:
    config = ModelConfig(family=architecture, scheme=scheme)
    settings = TrainingSettings(init=init)  # type: ignore[arg-type]
    model = build_model(config, settings, image_shape=(1, 12, 12), num_classes=4, key=(3, fold, 0))
    return InitialWeights(
        architecture=architecture,
        scheme=scheme,
        first_layer=get_family(architecture).first_conv,
        weights=copy_weights(model),
    )


def make_grid(*architectures: str, init: str = "default") -> list[InitialWeights]:
    return [rebuild(*cell, init=init) for cell in product(architectures, SCHEMES)]


def find_off(rows: list[LayerComparison]) -> list[tuple[str, str, str]]:
    return [(row.one, row.other, row.layer) for row in rows if not row.ok]


@pytest.mark.parametrize("init", ["default", "kaiming_normal"])
def test_grid_of_the_reports_is_as_it_must_be(init: str) -> None:
    rows = compare_grid(make_grid("a1", "a2", init=init))
    assert find_off(rows) == []
    said = {(row.one, row.other, row.layer): row.expected for row in rows}
    assert said == {
        **{("a1/HF", "a1/HT", layer): "equal" for layer in ("conv1", "fc1")},
        **{("a2/HF", "a2/HT", layer): "equal" for layer in ("conv1", "conv2", "fc1")},
        **{(f"a1/{s}", "a1/DT", "conv1"): "different" for s in ("HF", "HT")},
        **{(f"a2/{s}", "a2/DT", "conv1"): "different" for s in ("HF", "HT")},
        **{(f"a1/{s}", "a1/DT", "fc1"): "equal" for s in ("HF", "HT")},
        **{(f"a2/{s}", "a2/DT", "conv2"): "equal" for s in ("HF", "HT")},
        **{(f"a2/{s}", "a2/DT", "fc1"): "equal" for s in ("HF", "HT")},
        **{(f"a1/{s}", f"a2/{s}", "conv1"): "equal" for s in SCHEMES},
    }  # fmt: skip
    assert all((row.norm == 0) == (row.expected == "equal") for row in rows)


def shift(weights: Weights, name: str) -> None:
    weights[name].view(-1)[0] += 0.5


def copy_first_layer_by_hand(weights: Weights) -> None:
    weights["conv1.weight"].copy_(rebuild("a1", "HF").weights["conv1.weight"])


@pytest.mark.parametrize(
    ("cell", "spoil", "expected"),
    [
        (
            ("a1", "HT"),
            lambda weights: shift(weights, "fc1.bias"),
            [("a1/HF", "a1/HT", "fc1"), ("a1/HT", "a1/DT", "fc1")],
        ),
        (
            ("a2", "DT"),
            lambda weights: shift(weights, "conv2.weight"),
            [("a2/HF", "a2/DT", "conv2"), ("a2/HT", "a2/DT", "conv2")],
        ),
        (
            ("a1", "HF"),
            lambda weights: shift(weights, "conv1.weight"),
            [("a1/HF", "a1/HT", "conv1"), ("a1/HF", "a2/HF", "conv1")],
        ),
        (
            ("a2", "DT"),
            lambda weights: shift(weights, "conv1.bias"),
            [("a1/DT", "a2/DT", "conv1")],
        ),
        (  # set by hand under DT: the biases still differ, which must not pass for a difference
            ("a1", "DT"),
            copy_first_layer_by_hand,
            [
                ("a1/HF", "a1/DT", "conv1"),
                ("a1/HT", "a1/DT", "conv1"),
                ("a1/DT", "a2/DT", "conv1"),
            ],
        ),
        (
            ("a1", "HT"),
            lambda weights: weights.pop("fc1.weight"),
            [("a1/HF", "a1/HT", "fc1"), ("a1/HT", "a1/DT", "fc1")],
        ),
        (
            ("a1", "DT"),
            lambda weights: weights["conv1.weight"].fill_(math.nan),
            [
                ("a1/HF", "a1/DT", "conv1"),
                ("a1/HT", "a1/DT", "conv1"),
                ("a1/DT", "a2/DT", "conv1"),
            ],
        ),
    ],
    ids=[
        "bias of a later layer", "later layer of DT", "first layer of HF", "first bias of DT",
        "DT set by hand", "missing tensor", "not a number",
    ],
)  # fmt: skip
def test_one_wrong_weight_is_found(
    cell: tuple[str, str],
    spoil: Callable[[Weights], object],
    expected: list[tuple[str, str, str]],
) -> None:
    grid = make_grid("a1", "a2")
    (victim,) = [one for one in grid if (one.architecture, one.scheme) == cell]
    spoil(victim.weights)  # type: ignore[arg-type]
    rows = compare_grid(grid)
    assert find_off(rows) == expected
    with pytest.raises(SearchlabError, match=f"{len(expected)} of {len(rows)} comparisons") as info:
        require_all_ok([MemberCheck(member=0, comparisons=tuple(rows))])
    assert info.value.exit_code == 1
    one, other, layer = expected[0]
    assert f"{one} - {other} in {layer} (fold 0)" in str(info.value)


def test_weights_of_another_fold_are_found() -> None:
    grid = [rebuild("a1", "HF"), rebuild("a1", "HT", fold=1)]
    assert find_off(compare_grid(grid)) == [("a1/HF", "a1/HT", "fc1")]


def test_norm_is_that_of_the_difference() -> None:
    one, other = rebuild("a1", "HF"), rebuild("a1", "HT")
    other.weights["fc1.bias"][0] += 3.0
    other.weights["fc1.weight"][0, 0] += 4.0
    (row,) = [row for row in compare_grid([one, other]) if row.layer == "fc1"]
    assert row.norm == pytest.approx(5.0, rel=1e-5)
    assert set(row.tensors) == {"weight", "bias"}


def test_architectures_of_other_first_layers_are_not_compared() -> None:
    rows = compare_grid([rebuild("a1", "DT"), rebuild("cnn", "DT"), rebuild("fcn", "DT")])
    assert rows == []
    with pytest.raises(InputError, match="nothing to compare"):
        require_all_ok([MemberCheck(member=0, comparisons=())])


def test_trained_weights_share_no_default_first_layer_with_others() -> None:
    grid = make_grid("a1", "a2")
    loaded = [one if one.architecture == "a1" else load_trained(one) for one in grid]
    rows = [row for row in compare_grid(loaded) if row.one[:2] != row.other[:2]]
    assert [(row.one, row.other) for row in rows] == [("a1/HF", "a2/HF"), ("a1/HT", "a2/HT")]


def load_trained(rival: InitialWeights) -> InitialWeights:
    return replace(rival, loads_weights=True)


def test_saved_weights_must_equal_the_rebuilt_ones_in_every_layer() -> None:
    rebuilt = rebuild("a2", "HF")
    same = compare_with_saved(rebuilt, rebuild("a2", "HF").weights)
    assert [row.layer for row in same] == ["conv1", "conv2", "fc1"]
    assert find_off(same) == []
    other = compare_with_saved(rebuilt, rebuild("a2", "DT").weights)
    assert find_off(other) == [("a2/HF", "saved", "conv1")]
    another = compare_with_saved(rebuilt, rebuild("a1", "HF").weights)
    assert find_off(another) == [("a2/HF", "saved", "conv2"), ("a2/HF", "saved", "fc1")]
