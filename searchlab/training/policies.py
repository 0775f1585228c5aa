"""TrivialAugment and RandAugment: which operations an image gets, and how strong they are.

The tables are torchvision's, of ``TrivialAugmentWide`` and ``RandAugment``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from searchlab.training.policy_operations import OPERATIONS, SIGNED, operate

__all__ = ["NUM_BINS", "augment_randomly", "augment_trivially", "rand_table", "trivial_table"]

NUM_BINS = 31
"""The number of strengths of an operation."""


def augment_trivially(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change each image by one operation of a strength, all of them drawn (Müller, Hutter 2021).

    It takes and returns uint8 images, and so does ``augment_randomly``.
    """
    strengths = _draw_integers(images, generator, NUM_BINS)
    return _operate(images, trivial_table(images.device), strengths, generator)


def augment_randomly(
    images: Tensor, generator: torch.Generator, *, num_operations: int, strength: int
) -> Tensor:
    """Change each image by several drawn operations of one strength (Cubuk et al. 2020)."""
    _, _, height, width = images.shape
    table = rand_table(height, width, images.device)
    strengths = torch.full((len(images),), strength, device=images.device)
    for _ in range(num_operations):
        images = _operate(images, table, strengths, generator)
    return images


def trivial_table(device: torch.device) -> Tensor:
    """Return the amount of each operation at each strength, float64 [operations, strengths]."""
    return _make_table(
        slope=0.99, across=32.0, along=32.0, degrees=135.0, factor=0.99, bits=6, device=device
    )


def rand_table(height: int, width: int, device: torch.device) -> Tensor:
    """Return the same for images of a size."""
    across, along = 150.0 / 331.0 * width, 150.0 / 331.0 * height
    return _make_table(
        slope=0.3, across=across, along=along, degrees=30.0, factor=0.9, bits=4, device=device
    )


def _make_table(
    *,
    slope: float,
    across: float,
    along: float,
    degrees: float,
    factor: float,
    bits: int,
    device: torch.device,
) -> Tensor:
    """Return a table from the largest amounts; ``bits`` is the most that posterize takes away."""
    largest = {
        "shear_x": slope,
        "shear_y": slope,
        "translate_x": across,
        "translate_y": along,
        "rotate": degrees,
        "brightness": factor,
        "color": factor,
        "contrast": factor,
        "sharpness": factor,
    }
    # In float32, as torchvision does: so that the amounts have its bits.
    rows = {
        name: torch.linspace(0.0, end, NUM_BINS, device=device) for name, end in largest.items()
    }
    taken = torch.arange(NUM_BINS, device=device) / ((NUM_BINS - 1) / bits)
    rows["posterize"] = 8 - taken.round()
    rows["solarize"] = torch.linspace(255.0, 0.0, NUM_BINS, device=device)
    none = torch.zeros(NUM_BINS, device=device)
    return torch.stack([rows.get(name, none).double() for name in OPERATIONS])


def _operate(
    images: Tensor, table: Tensor, strengths: Tensor, generator: torch.Generator
) -> Tensor:
    kinds = _draw_integers(images, generator, len(OPERATIONS))
    is_negative = _draw_integers(images, generator, 2) == 1
    amounts = table[kinds, strengths]
    first, last = OPERATIONS.index(SIGNED[0]), OPERATIONS.index(SIGNED[-1])
    is_signed = (kinds >= first) & (kinds <= last)
    return operate(images, kinds, torch.where(is_signed & is_negative, -amounts, amounts))


def _draw_integers(images: Tensor, generator: torch.Generator, end: int) -> Tensor:
    return torch.randint(end, (len(images),), generator=generator, device=images.device)
