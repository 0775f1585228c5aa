"""Ensembles: several classifiers whose predictions are averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from searchlab.training.metrics import Answers, measure_answers

__all__ = ["evaluate_ensemble", "select_greedily"]

_NUM_PICKS = 50  # so that a member's weight is a multiple of 2 %


def evaluate_ensemble(
    logits: Sequence[Tensor], labels: Tensor, *, weights: Sequence[float] | None = None
) -> dict[str, float]:
    """Average the members' probabilities, as report 004 did, and measure every metric of that.

    Each member's logits are [N, classes] for the same N images, labels int64 [N]. ``weights`` add
    up to 1; without them all members count alike. Raises ValueError for fewer than two members or
    differing shapes.
    """
    if len(logits) < 2 or any(member.shape != logits[0].shape for member in logits):
        raise ValueError(f"needs two members of one shape, got {[tuple(m.shape) for m in logits]}")
    shares = torch.tensor(weights or [1 / len(logits)] * len(logits), dtype=torch.float64)
    probabilities = torch.stack([member.double().softmax(1) for member in logits])
    mean = torch.tensordot(shares, probabilities, 1)
    # A probability can round to 0, whose logarithm is infinite.
    log_mean = mean.clamp_min(torch.finfo(mean.dtype).tiny).log()
    return measure_answers(Answers(labels=labels, batches=[log_mean]))


def select_greedily(
    probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> list[float]:
    """Return the weight of each member in the ensemble with the least loss that greed finds.

    ``probabilities`` are [members, N, classes] of N images with labels [N]. The ensemble begins
    empty and takes the member that lowers its loss most, 50 times, the same one again if need be;
    the best of the 50 ensembles is returned. Source: Caruana et al. 2004, Ensemble Selection from
    Libraries of Models.
    """
    own = probabilities[:, np.arange(len(labels)), labels].astype(np.float64)
    own = own.clip(np.finfo(np.float64).tiny)
    total = np.zeros(len(labels))
    picks: list[int] = []
    losses: list[float] = []
    for count in range(1, _NUM_PICKS + 1):
        candidates = -np.log((total + own) / count).mean(1)
        picks.append(int(candidates.argmin()))
        losses.append(float(candidates.min()))
        total = total + own[picks[-1]]
    best = int(np.argmin(losses)) + 1
    return [picks[:best].count(member) / best for member in range(len(own))]
