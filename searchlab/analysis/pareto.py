"""The Pareto front: points that no other point beats in every objective."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["find_front"]


def find_front(values: Sequence[Sequence[float]], signs: Sequence[int]) -> list[bool]:
    """Return for each point whether it is on the front; equal points are on it together.

    ``signs`` has 1 for an objective to maximize, -1 for one to minimize. A point is beaten by
    another that is no worse in any objective and better in one.
    """
    scaled = [
        tuple(sign * value for sign, value in zip(signs, point, strict=True)) for point in values
    ]
    # In descending order, a point that beats another comes first, and so does one on the front.
    front: list[tuple[float, ...]] = []
    for point in sorted(set(scaled), reverse=True):
        if not any(_beats(other, point) for other in front):
            front.append(point)
    members = set(front)
    return [point in members for point in scaled]


def _beats(other: Sequence[float], point: Sequence[float]) -> bool:
    pairs = list(zip(other, point, strict=True))
    return all(ours >= theirs for ours, theirs in pairs) and any(
        ours > theirs for ours, theirs in pairs
    )
