"""The Pareto front: what nothing beats in every respect."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["find_front"]


def find_front(values: Sequence[Sequence[float]], signs: Sequence[int]) -> list[bool]:
    """Tell for each point whether it is on the front; equal points are on it together.

    ``signs`` has 1 for an objective of which more is better, -1 for one of which less is. A point
    is beaten by one that is nowhere worse and somewhere better.
    """
    scaled = [
        tuple(sign * value for sign, value in zip(signs, point, strict=True)) for point in values
    ]
    # In descending order whatever beats a point comes before it, and then one of the front does.
    front: list[tuple[float, ...]] = []
    for point in sorted(set(scaled), reverse=True):
        if not any(_beats(rival, point) for rival in front):
            front.append(point)
    members = set(front)
    return [point in members for point in scaled]


def _beats(rival: Sequence[float], point: Sequence[float]) -> bool:
    pairs = list(zip(rival, point, strict=True))
    return all(ours >= theirs for ours, theirs in pairs) and any(
        ours > theirs for ours, theirs in pairs
    )
