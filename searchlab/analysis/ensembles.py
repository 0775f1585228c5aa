"""Ensembles: several classifiers whose predictions are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

__all__ = ["EnsembleFigures", "evaluate_ensemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleFigures:
    """An ensemble's mean cross-entropy, and its accuracy in [0, 1]."""

    accuracy: float
    loss: float


def evaluate_ensemble(logits: Sequence[Tensor], labels: Tensor) -> EnsembleFigures:
    """Average the members' probabilities, as report 004 did, and measure the result.

    Each member's logits are [N, classes] for the same N images, labels int64 [N]. Raises
    ValueError for fewer than two members or differing shapes.
    """
    if len(logits) < 2 or any(member.shape != logits[0].shape for member in logits):
        raise ValueError(f"needs two members of one shape, got {[tuple(m.shape) for m in logits]}")
    mean = torch.stack([member.double().softmax(1) for member in logits]).mean(0)
    return EnsembleFigures(
        accuracy=float((mean.argmax(1) == labels).double().mean()),
        # A probability can round to 0, whose logarithm is infinite.
        loss=float(nll_loss(mean.clamp_min(torch.finfo(mean.dtype).tiny).log(), labels)),
    )
