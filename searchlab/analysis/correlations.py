"""How similarly a layer's neurons respond: the correlation matrix of their activations."""

from __future__ import annotations

import torch
from torch import Tensor

from searchlab.analysis.measured_layers import NeuronCorrelations

__all__ = ["correlate_neurons", "correlation_matrix", "thin_neurons"]


def correlate_neurons(activations: Tensor) -> NeuronCorrelations:
    """Correlate the columns of [N, neurons] over N images. Source: report 003, figure 12.

    Raises ValueError for fewer than two images or two neurons that respond.
    """
    matrix = correlation_matrix(activations)
    count = len(matrix)
    return NeuronCorrelations(
        mean=float(matrix.mean()),
        std=float(matrix.std(correction=0)),
        off_diagonal=float((matrix.sum() - matrix.trace()) / (count * (count - 1))),
        num_neurons=activations.shape[1],
        num_silent=activations.shape[1] - count,
    )


def correlation_matrix(activations: Tensor) -> Tensor:
    """Return float64 [responding neurons, the same] from [N, neurons].

    Raises ValueError for fewer than two images or two neurons that respond.
    """
    if activations.ndim != 2 or len(activations) < 2:
        raise ValueError(f"needs [N >= 2, neurons], got {tuple(activations.shape)}")
    # Not by the deviation: that of a constant column is often some 1e-17, from rounding its mean.
    responds = activations.amax(0) > activations.amin(0)
    columns = activations.double()[:, responds]
    if columns.shape[1] < 2:
        raise ValueError(f"needs two neurons that respond, got {columns.shape[1]}")
    return torch.corrcoef(columns.T)


def thin_neurons(activations: Tensor, most: int) -> Tensor:
    """Return at most ``most`` of the columns of [N, neurons], at even distances."""
    count = activations.shape[1]
    if count <= most:
        return activations
    return activations[:, torch.linspace(0, count - 1, most, dtype=torch.float64).round().long()]
