"""A first convolution's filters before and after training, and how far they moved."""

from __future__ import annotations

import torch
from torch import Tensor

from searchlab.analysis.measured_layers import MovedFilters

__all__ = ["compare_filters"]

_MOST_PICTURES = 16


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
