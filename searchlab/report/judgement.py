"""How the first of two configurations is, by tests of their difference: one rule for every pair."""

from __future__ import annotations

from typing import Literal

__all__ = ["Outcome", "judge"]

Outcome = Literal["better", "worse", "equal", "undecided"]


def judge(
    difference: float, *, p_value: float | None, p_unequal: float | None, sign: int
) -> Outcome:
    """Return how the first of two is, by their ``difference`` in the metric's own direction.

    At the 5 % level, by a ``p_value`` that they are equal and by ``p_unequal``, that they differ
    by the margin or more; both adjusted if they are of several pairs, and None if there is nothing
    to test. A difference that is shown to be within the margin is none. ``sign`` is 1 if more of
    the metric is better, -1 if less is.
    """
    if p_unequal is not None and p_unequal < 0.05:
        return "equal"
    if p_value is None or p_value >= 0.05:
        return "undecided"
    return "better" if sign * difference > 0 else "worse"
