"""Checks that models start from the same weights: norms of differences (reports 000, 002).

HF and HT start equal in every layer. DT differs from both in the first layer only.
Architectures whose first layers have the same shape share that layer within a scheme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import torch
from torch import Tensor

from searchlab.config.trial import Scheme

__all__ = ["InitialWeights", "LayerComparison", "compare_grid", "compare_with_saved"]

Expected = Literal["equal", "different"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InitialWeights:
    """Weights and buffers by name of one architecture under one scheme.

    ``first_layer`` is the convolution that HF and HT set by hand, None if there is none.
    ``loads_weights`` says that trained weights may have replaced the drawn ones; its DT then
    shares nothing with another architecture.
    """

    architecture: str
    scheme: Scheme
    first_layer: str | None
    weights: Mapping[str, Tensor]
    loads_weights: bool = False

    @property
    def name(self) -> str:
        """Return ``a1/HF``."""
        return f"{self.architecture}/{self.scheme}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerComparison:
    """The norm of the difference of one layer between two sets of weights.

    It is taken over all ``tensors`` together, and infinite if their shapes differ.
    """

    one: str
    other: str
    layer: str
    tensors: tuple[str, ...]
    norm: float
    expected: Expected

    @property
    def ok(self) -> bool:
        """Whether the norm is as expected; NaN never is."""
        return self.norm == 0 if self.expected == "equal" else 0 < self.norm < math.inf


def compare_grid(grid: Sequence[InitialWeights]) -> list[LayerComparison]:
    """Compare every pair of a grid of architectures and schemes, layer by layer.

    Pairs of one architecture come first, then those of one scheme.
    """
    pairs = list(combinations(grid, 2))
    rows = []
    for one, other in pairs:
        if one.architecture == other.architecture:
            rows += _compare_schemes(one, other)
    for one, other in pairs:
        if one.architecture != other.architecture and one.scheme == other.scheme:
            rows += _compare_architectures(one, other)
    return rows


def compare_with_saved(
    rebuilt: InitialWeights, saved: Mapping[str, Tensor]
) -> list[LayerComparison]:
    """Compare weights with those of a file: every layer must be equal."""
    layers = _layers((rebuilt.weights, saved))
    return [
        _compare(
            (rebuilt.name, rebuilt.weights), ("saved", saved), layer, tensors, expected="equal"
        )
        for layer, tensors in layers.items()
    ]


def _compare_schemes(one: InitialWeights, other: InitialWeights) -> list[LayerComparison]:
    by_hand = [model.scheme != "DT" for model in (one, other)]
    rows = []
    for layer, tensors in _layers((one.weights, other.weights)).items():
        if layer == one.first_layer and by_hand[0] != by_hand[1]:
            # The biases may well agree: zero by hand, and zero under every init but the default.
            row = _compare(_side(one), _side(other), layer, ("weight",), expected="different")
        else:
            row = _compare(_side(one), _side(other), layer, tensors, expected="equal")
        rows.append(row)
    return rows


def _compare_architectures(one: InitialWeights, other: InitialWeights) -> list[LayerComparison]:
    """Compare the first layers, if they are the same layer; a draw depends on name and shape."""
    layer = one.first_layer
    if layer is None or layer != other.first_layer:
        return []
    if one.scheme == "DT" and (one.loads_weights or other.loads_weights):
        return []
    if one.weights[f"{layer}.weight"].shape != other.weights[f"{layer}.weight"].shape:
        return []
    shared = one.weights.keys() & other.weights.keys()
    tensors = tuple(name for name in ("weight", "bias") if f"{layer}.{name}" in shared)
    return [_compare(_side(one), _side(other), layer, tensors, expected="equal")]


def _side(model: InitialWeights) -> tuple[str, Mapping[str, Tensor]]:
    return model.name, model.weights


def _layers(sides: Iterable[Mapping[str, Tensor]]) -> dict[str, tuple[str, ...]]:
    """Gather tensor names by layer, in order, from both sides; a missing tensor counts."""
    layers: dict[str, dict[str, None]] = {}
    for weights in sides:
        for name in weights:
            layer, _, tensor = name.rpartition(".")
            layers.setdefault(layer, {})[tensor] = None
    return {layer: tuple(tensors) for layer, tensors in layers.items()}


def _compare(
    one: tuple[str, Mapping[str, Tensor]],
    other: tuple[str, Mapping[str, Tensor]],
    layer: str,
    tensors: tuple[str, ...],
    *,
    expected: Expected,
) -> LayerComparison:
    names = [f"{layer}.{tensor}" if layer else tensor for tensor in tensors]
    norms = [_norm_of_difference(one[1].get(name), other[1].get(name)) for name in names]
    return LayerComparison(
        one=one[0],
        other=other[0],
        layer=layer,
        tensors=tensors,
        norm=math.hypot(*norms),
        expected=expected,
    )


def _norm_of_difference(one: Tensor | None, other: Tensor | None) -> float:
    if one is None or other is None or one.shape != other.shape:
        return math.inf
    return float(torch.linalg.vector_norm(one.double() - other.double()))
