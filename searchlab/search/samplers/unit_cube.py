"""Every parameter as a number in [0, 1]: what Sobol points and CMA-ES are about.

A choice of k values has k bins of equal width, in the order written, and so has a range of k whole
numbers or steps; a continuous range is linear, or linear in the logarithm. A logarithmic range of
whole numbers gives each number its share of the logarithm's length.
"""

from __future__ import annotations

import math

from searchlab.config.nodes import Choice, Range
from searchlab.config.trial import Scalar

__all__ = ["from_unit", "mirror", "to_unit"]


def from_unit(node: Choice | Range, fraction: float) -> Scalar:
    """Return the value of a parameter at a place in [0, 1]."""
    assert 0.0 <= fraction <= 1.0, fraction
    if isinstance(node, Choice):
        return node.root[_bin(fraction, len(node.root))]
    if node.log:
        low, high = _log_bounds(node)
        value = math.exp(low + (high - low) * fraction)
        value = min(max(value, node.low), node.high)
        return round(value) if node.is_int else float(value)
    count = node.count()
    if count is None:
        value = node.low * (1 - fraction) + node.high * fraction
        return float(min(max(value, node.low), node.high))
    return node.value_at(_bin(fraction, count))


def to_unit(node: Choice | Range, value: Scalar) -> float:
    """Return the place of a value: the middle of its bin if the parameter has bins."""
    if isinstance(node, Choice):
        return (node.root.index(value) + 0.5) / len(node.root)
    assert not isinstance(value, str), value
    if node.log:
        low, high = _log_bounds(node)
        return min(max((math.log(value) - low) / (high - low), 0.0), 1.0)
    count = node.count()
    if count is None:
        # Halves, since the difference of two finite numbers may be infinite.
        return (value / 2 - node.low / 2) / (node.high / 2 - node.low / 2)
    return (round((value - node.low) / (node.step or 1)) + 0.5) / count


def mirror(place: float) -> float:
    """Fold any number into [0, 1], as if reflected at both ends again and again.

    Unlike clipping, it piles nothing up at the ends: of forty parameters, some always lie outside.
    """
    folded = math.fmod(abs(place), 2.0)
    return 2.0 - folded if folded > 1.0 else folded


def _bin(fraction: float, count: int) -> int:
    return min(int(fraction * count), count - 1)


def _log_bounds(node: Range) -> tuple[float, float]:
    margin = 0.5 if node.is_int else 0.0
    return math.log(node.low - margin), math.log(node.high + margin)
