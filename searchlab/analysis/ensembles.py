"""Ensembles: several classifiers whose predictions are averaged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from searchlab.training.metrics import Answers, measure_answers

__all__ = ["evaluate_ensemble"]


def evaluate_ensemble(logits: Sequence[Tensor], labels: Tensor) -> dict[str, float]:
    """Average the members' probabilities, as report 004 did, and measure every metric of that.

    Each member's logits are [N, classes] for the same N images, labels int64 [N]. Raises
    ValueError for fewer than two members or differing shapes.
    """
    if len(logits) < 2 or any(member.shape != logits[0].shape for member in logits):
        raise ValueError(f"needs two members of one shape, got {[tuple(m.shape) for m in logits]}")
    mean = torch.stack([member.double().softmax(1) for member in logits]).mean(0)
    # A probability can round to 0, whose logarithm is infinite.
    log_mean = mean.clamp_min(torch.finfo(mean.dtype).tiny).log()
    return measure_answers(Answers(labels=labels, batches=[log_mean]))
