"""What is said of the trials with which a search starts."""

from __future__ import annotations

from collections.abc import Sequence

from searchlab.study.plan import PORTFOLIO, REFERENCE, WARM, PlannedTrial

__all__ = ["describe_start"]


def describe_start(start: Sequence[PlannedTrial]) -> str:
    """Return the sentence about the trials that come before those that a sampler draws."""
    reference = [str(one.point["family"]) for one in start if one.key.startswith(REFERENCE)]
    num_warm = sum(one.key.startswith(WARM) for one in start)
    num_proven = sum(one.key.startswith(PORTFOLIO) for one in start)
    own = (
        f"{_count(len(reference), 'reference point')} ({', '.join(reference)}): the study's "
        "training values and the family's defaults"
    )
    proven = f"{_count(num_proven, 'configuration')} that did well on other images"
    warm = f"{_count(num_warm, 'point')} of search.warm_start"
    others = [text for text, number in ((proven, num_proven), (warm, num_warm)) if number]
    points = [own if reference else "", " in turn with ".join(others)]
    remedy = ". search.start=random draws from the start instead" if reference else ""
    return f"the search starts from {'; then '.join(filter(None, points))}{remedy}"


def _count(number: int, noun: str) -> str:
    return f"a {noun}" if number == 1 else f"{number} {noun}s"
