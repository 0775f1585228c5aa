"""A curve in one line of text: a block for each epoch, from its lowest value to its highest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["ASCII_BLOCKS", "BLOCKS", "sparkline"]

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-~=+*#"


def sparkline(values: Sequence[float], *, width: int = 32, blocks: str = BLOCKS) -> str:
    """Draw the values from the lowest of them, the first block, to the highest, the last one.

    More values than ``width`` are drawn as the means of equal parts. A value that is not finite is
    a blank.
    """
    drawn = _shorten(values, width)
    finite = [value for value in drawn if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    return "".join(_draw(value, low, high, blocks) for value in drawn)


def _shorten(values: Sequence[float], width: int) -> list[float]:
    count = min(width, len(values))
    edges = [len(values) * part // count for part in range(count + 1)] if count else [0]
    return [math.fsum(values[start:end]) / (end - start) for start, end in pairwise(edges)]


def _draw(value: float, low: float, high: float, blocks: str) -> str:
    if not math.isfinite(value):
        return " "
    if high == low:
        return blocks[len(blocks) // 2]
    return blocks[round((value - low) / (high - low) * (len(blocks) - 1))]
