"""Comparing two configurations, paired over the folds of one cross-validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.analysis.student_t import quantile, upper_tail

__all__ = ["FEWEST_FOLDS", "Bounds", "Comparison", "compare_folds"]

Bounds = tuple[float, float]
"""The least and the greatest value that a metric can have."""

FEWEST_FOLDS = 3
"""The fewest folds for a verdict. Two leave the test one degree of freedom, by which hardly any
difference can be shown (it must be 15.6 times its standard deviation between the folds), and what
is shown rests on two numbers."""

# Two equal differences still differ in their last bits once averaged.
_ZERO = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Challenger minus incumbent, in the metric's own units and direction.

    ``interval`` is the 95 % confidence interval of ``difference``, as far as the metric's bounds
    allow: one of the two may reach a bound while the other keeps its mean. Both it and the
    two-sided ``p_value`` are None if every fold differs by the same amount, which leaves no spread
    to test. ``error`` is the standard error of the difference.
    """

    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    num_compared: int
    error: float = 0.0

    @property
    def has_enough_folds(self) -> bool:
        """Whether there are enough folds for a verdict."""
        return self.num_compared >= FEWEST_FOLDS

    @property
    def is_shown(self) -> bool:
        """Whether the difference is significant at the 5 % level."""
        return self.p_value is not None and self.p_value < 0.05

    def p_unequal(self, margin: float) -> float | None:
        """Return the larger p of the two one-sided tests that the difference is within margin.

        None, as the ``p_value``, if every fold differs by the same amount.
        """
        if self.p_value is None:
            return None
        distance = margin - abs(self.difference)
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        return upper_tail(distance / self.error, self.num_compared - 1)


def compare_folds(
    challenger: Sequence[float],
    incumbent: Sequence[float],
    *,
    num_folds: int,
    bounds: Bounds | None = None,
) -> Comparison:
    """Compare two configurations by their values on the same folds, given in the same order.

    ``bounds`` are the metric's, if it has any.

    The corrected resampled t-test: fold-models share training data, so the variance of the mean
    difference is s^2 (1/n + 1/(k-1)) instead of s^2/n, with n compared folds out of ``num_folds``
    = k, and n - 1 degrees of freedom. Raises ValueError for fewer than two pairs.

    Source: Nadeau & Bengio, Inference for the Generalization Error, Machine Learning 52 (2003);
    the test set's share of a k-fold split is 1/(k-1) of the training set's.
    """
    num_pairs = len(challenger)
    if num_pairs != len(incumbent):
        raise ValueError(f"must have equal lengths, got {num_pairs} and {len(incumbent)}")
    if not 2 <= num_pairs <= num_folds:
        raise ValueError(f"must be 2 to {num_folds} folds, got {num_pairs}")
    differences = [a - b for a, b in zip(challenger, incumbent, strict=True)]
    mean = math.fsum(differences) / num_pairs
    variance = math.fsum((d - mean) ** 2 for d in differences) / (num_pairs - 1)
    if math.sqrt(variance) <= _ZERO * max(1.0, abs(mean)):
        return _compare_without_spread(mean, num_pairs)
    error = math.sqrt(variance * (1 / num_pairs + 1 / (num_folds - 1)))
    margin = quantile(0.975, num_pairs - 1) * error
    least, most = _find_possible(challenger, incumbent, bounds)
    return Comparison(
        difference=mean,
        interval=(max(mean - margin, least), min(mean + margin, most)),
        p_value=2 * upper_tail(abs(mean) / error, num_pairs - 1),
        num_compared=num_pairs,
        error=error,
    )


def _find_possible(
    challenger: Sequence[float], incumbent: Sequence[float], bounds: Bounds | None
) -> tuple[float, float]:
    """Return the least and the greatest difference if only one of the means moves."""
    if bounds is None:
        return -math.inf, math.inf
    low, high = bounds
    ours, theirs = (math.fsum(values) / len(values) for values in (challenger, incumbent))
    return min(low - theirs, ours - high), max(high - theirs, ours - low)


def _compare_without_spread(mean: float, num_pairs: int) -> Comparison:
    if abs(mean) <= _ZERO:
        return Comparison(difference=0.0, interval=(0.0, 0.0), p_value=1.0, num_compared=num_pairs)
    return Comparison(difference=mean, interval=None, p_value=None, num_compared=num_pairs)
