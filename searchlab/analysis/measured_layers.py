"""What was measured in the layers of a model, as plain numbers: reading them needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "HIGHEST_EXPONENT",
    "LOWEST_EXPONENT",
    "SMALLEST",
    "Distribution",
    "LayerProbe",
    "MovedFilters",
    "NeuronCorrelations",
    "bin_edges",
]

LOWEST_EXPONENT, HIGHEST_EXPONENT = -30, 13
"""Of a histogram's bins, by powers of 2; what is beyond the highest is counted with it."""

SMALLEST = 2.0**-30
"""A number nearer to 0 counts as 0 in a histogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """What is kept of many numbers.

    ``zeros`` is the share that is 0. ``shares`` are those of the bins from number ``first`` on, up
    to the last that is not empty; ``bin_edges`` has the bins.
    """

    mean: float
    std: float
    zeros: float
    first: int
    shares: list[float]


def bin_edges() -> list[float]:
    """Return the edges of the histogram's bins, rising; the outermost bins also take all beyond."""
    sizes = [2.0**power for power in range(LOWEST_EXPONENT, HIGHEST_EXPONENT + 2)]
    return [*(-size for size in reversed(sizes)), *sizes]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProbe:
    """A layer over some images; ``name`` is the model's, ``kind`` the layer's class.

    ``units`` are the channels of a map [B, C, H, W], else the last dimension. ``dead`` of them
    were 0 on every image and place; None unless the layer is a ReLU, because any other layer's
    output still has a gradient. ``gradient`` is the weight's; None if the layer has no weights or
    they are frozen.
    """

    name: str
    kind: str
    units: int
    dead: int | None
    activation: Distribution
    gradient: Distribution | None
    is_frozen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedFilters:
    """The filters of a layer, ``num_filters`` in all.

    ``distance`` is the norm of the weights' difference, over all filters and channels; ``norm`` is
    that of the initial weights. ``first`` and ``last`` are the first filters [F][kh][kw] before and
    after training, each the mean over its channels.
    """

    layer: str
    num_filters: int
    num_channels: int
    distance: float
    norm: float
    first: list[list[list[float]]]
    last: list[list[list[float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronCorrelations:
    """Mean and deviation of a correlation matrix's entries, its diagonal of ones included.

    As report 003 computed them. ``off_diagonal`` is the mean without the diagonal, which does not
    depend on the number of neurons. ``num_silent`` neurons never change and are left out.
    """

    mean: float
    std: float
    off_diagonal: float
    num_neurons: int
    num_silent: int
