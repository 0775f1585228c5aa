"""A first convolution's filters before and after training, and how far they moved."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["MovedFilters", "compare_filters"]

_MOST_PICTURES = 16


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


def compare_filters(layer: str, first: Tensor, last: Tensor) -> MovedFilters:
    """Compare a convolution's weights [F, C, kh, kw] before and after training."""
    before, after = first.double(), last.double()
    return MovedFilters(
        layer=layer,
        num_filters=len(before),
        num_channels=before.shape[1],
        distance=float(torch.linalg.vector_norm(after - before)),
        norm=float(torch.linalg.vector_norm(before)),
        first=_picture(before),
        last=_picture(after),
    )


def _picture(weights: Tensor) -> list[list[list[float]]]:
    pictures = weights[:_MOST_PICTURES].mean(1).tolist()
    return [[[round(cell, 4) for cell in row] for row in picture] for picture in pictures]
