"""How alike two networks represent the same images, whatever their neurons' order and number."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["linear_cka"]


def linear_cka(one: Tensor, other: Tensor) -> float:
    """Return the centered kernel alignment of activations [N, P] and [N, Q], from 0 to 1.

    It is 1 for equal activations, and after any rotation or scaling of them. Source: Kornblith et
    al. 2019, Similarity of Neural Network Representations Revisited. Raises ValueError if all
    neurons of one never change.
    """
    first, second = _center(one), _center(other)
    shared = (second.T @ first).square().sum()
    scale = torch.linalg.matrix_norm(first.T @ first) * torch.linalg.matrix_norm(second.T @ second)
    if scale == 0:
        raise ValueError("no neuron responds to the images")
    return float(shared / scale)


def _center(activations: Tensor) -> Tensor:
    exact = activations.double()
    return exact - exact.mean(0)
