"""Kernels set by hand: 0/1 patterns for the first layer under HF and HT (reports 000 and 002)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from searchlab.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["hand_kernels"]

Pattern = tuple[int, ...]
"""The cells of a kernel row by row, each 0 or 1."""

# Figure 1 of report 002, in its order: symmetric, with about as many ones as zeros.
_REPORT002 = (
    "10001 01010 00100 01010 10001",
    "00100 11011 00100 11011 00100",
    "01110 11011 10001 11011 01110",
    "11011 01010 00100 11011 11011",
)


def hand_kernels(num_filters: int, kernel_size: tuple[int, int]) -> Tensor:
    """Return distinct 0/1 kernels [num_filters, height, width] in float32, always the same ones.

    For 5x5 kernels, report 002's four come first, in its order. Then, for any size, come report
    000's five in its order (main diagonal, secondary diagonal, top edge, left edge, all ones), then
    other named patterns, then the remaining nonzero patterns in a scattered order. Raises
    InputError if ``num_filters`` exceeds the number of distinct nonzero patterns.
    """
    height, width = kernel_size
    assert height >= 1, f"{height=}"
    assert width >= 1, f"{width=}"
    num_patterns = 2 ** (height * width) - 1
    if not 1 <= num_filters <= num_patterns:
        raise InputError(
            f"a {height}x{width} first layer set by hand takes 1 to {num_patterns} filters",
            found=num_filters,
            remedy="Use a larger kernel, fewer filters, or the scheme DT",
        )
    patterns = list(islice(_distinct_patterns(height, width), num_filters))
    return torch.tensor(patterns, dtype=torch.float32).reshape(num_filters, height, width)


def _named_patterns(height: int, width: int) -> dict[str, Tensor]:
    """Return bool masks [height, width]; in a small kernel some may be equal or empty."""
    rows = torch.arange(height, device="cpu")[:, None].expand(height, width)
    columns = torch.arange(width, device="cpu")[None, :].expand(height, width)
    top, bottom = rows == 0, rows == height - 1
    left, right = columns == 0, columns == width - 1
    middle_row, middle_column = rows == height // 2, columns == width // 2
    if width >= height:
        diagonal = rows == columns * height // width
    else:
        diagonal = columns == rows * width // height
    secondary = diagonal.flip(1)
    even = (rows + columns) % 2 == 0
    return {
        "main diagonal": diagonal,  # the first five are report 000's kernels 0 to 4, 3x3 there
        "secondary diagonal": secondary,
        "top edge": top,
        "left edge": left,
        "all ones": rows >= 0,
        "bottom edge": bottom,
        "right edge": right,
        "middle row": middle_row,
        "middle column": middle_column,
        "cross": middle_row | middle_column,
        "x": diagonal | secondary,
        "border": top | bottom | left | right,
        "checkerboard": even,
        "inverse checkerboard": ~even,
        "upper triangle": rows * width <= columns * height,
        "lower triangle": rows * width >= columns * height,
        "upper half": rows <= height // 2,
        "left half": columns <= width // 2,
        "horizontal stripes": rows % 2 == 0,
        "vertical stripes": columns % 2 == 0,
        "corners": (top | bottom) & (left | right),
        "centre": middle_row & middle_column,
    }


def _distinct_patterns(height: int, width: int) -> Iterator[Pattern]:
    seen: set[Pattern] = {(0,) * (height * width)}
    for pattern in _all_patterns(height, width):
        if pattern not in seen:
            seen.add(pattern)
            yield pattern


def _all_patterns(height: int, width: int) -> Iterator[Pattern]:
    if (height, width) == (5, 5):
        for rows in _REPORT002:
            yield tuple(int(cell) for cell in rows.replace(" ", ""))
    for mask in _named_patterns(height, width).values():
        yield tuple(mask.int().flatten().tolist())
    for bits in _scattered_integers(height * width):
        yield tuple(bits >> position & 1 for position in range(height * width))


def _scattered_integers(num_bits: int) -> Iterator[int]:
    """Yield 1 .. 2**num_bits - 1, each once, with any prefix spread over the whole range.

    Multiplying by an odd number and xor-ing the upper half into the lower are both one-to-one
    modulo 2**num_bits, and both map 0 to 0, so no list is needed, not even for 11x11.
    """
    modulus = 1 << num_bits
    odd = int("9e3779b97f4a7c15f39cc0605cedc835", 16) % modulus | 1  # the golden ratio's bits
    for index in range(1, modulus):
        mixed = index * odd % modulus
        mixed ^= mixed >> (num_bits + 1) // 2
        yield mixed * odd % modulus
