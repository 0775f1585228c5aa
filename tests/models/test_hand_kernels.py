"""Hand-set kernels: 0/1, distinct, the published five first."""

from __future__ import annotations

import pytest
import torch

from searchlab.errors import InputError
from searchlab.models.kernels import hand_kernels

PUBLISHED = [
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[0, 0, 1], [0, 1, 0], [1, 0, 0]],
    [[1, 1, 1], [0, 0, 0], [0, 0, 0]],
    [[1, 0, 0], [1, 0, 0], [1, 0, 0]],
    [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
]


def test_first_five_are_those_of_report_000() -> None:
    kernels = hand_kernels(5, (3, 3))
    assert kernels.dtype == torch.float32
    assert torch.equal(kernels, torch.tensor(PUBLISHED, dtype=torch.float32))


@pytest.mark.parametrize("size", [5, 7])
def test_published_patterns_generalise_to_larger_kernels(size: int) -> None:
    first = 4 if size == 5 else 0  # report 002's own come first
    diagonal, secondary, top, left, ones = hand_kernels(first + 5, (size, size))[first:]
    assert torch.equal(diagonal, torch.eye(size))
    assert torch.equal(secondary, torch.eye(size).flip(1))
    assert torch.equal(top.sum(1), torch.tensor([float(size)] + [0.0] * (size - 1)))
    assert torch.equal(left, top.T)
    assert ones.sum() == size**2


def test_report_002s_four_come_first_in_a_5x5_kernel_and_nowhere_else() -> None:
    first = hand_kernels(4, (5, 5))
    assert first.sum((1, 2)).tolist() == [9, 11, 16, 15]
    assert torch.equal(first[:3], first[:3].flip(2))
    assert torch.equal(first[0], ((torch.eye(5) + torch.eye(5).flip(1)) > 0).float())
    assert torch.equal(hand_kernels(1, (7, 7))[0], torch.eye(7))


@pytest.mark.parametrize(
    ("num_filters", "size"),
    [
        (1, (1, 1)),
        (7, (1, 3)),
        (15, (2, 2)),
        (63, (3, 2)),
        (511, (3, 3)),
        (1024, (5, 5)),
        (1024, (11, 11)),
    ],
)
def test_kernels_are_distinct_nonzero_and_0_or_1(num_filters: int, size: tuple[int, int]) -> None:
    kernels = hand_kernels(num_filters, size)
    assert kernels.shape == (num_filters, *size)
    assert set(kernels.unique().tolist()) <= {0.0, 1.0}
    assert kernels.flatten(1).any(1).all()
    assert len(kernels.flatten(1).unique(dim=0)) == num_filters


def test_fewer_filters_are_a_prefix_of_more() -> None:
    assert torch.equal(hand_kernels(20, (3, 3)), hand_kernels(200, (3, 3))[:20])


@pytest.mark.parametrize("size", [(5, 5), (11, 11)])
def test_patterns_beyond_the_named_ones_are_spread_over_the_kernel(size: tuple[int, int]) -> None:
    share = hand_kernels(512, size)[32:].mean(0)
    assert share.min() > 0.35
    assert share.max() < 0.65


@pytest.mark.parametrize(("num_filters", "size"), [(512, (3, 3)), (2, (1, 1)), (0, (3, 3))])
def test_impossible_numbers_of_filters_are_input_errors(
    num_filters: int, size: tuple[int, int]
) -> None:
    with pytest.raises(InputError, match=f"filters, got {num_filters}"):
        hand_kernels(num_filters, size)
