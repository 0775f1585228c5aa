"""Linear CKA, against the definition by Gram matrices in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchlab.analysis.similarity import linear_cka

GENERATOR = torch.Generator().manual_seed(0)


def by_gram_matrices(one: np.ndarray, other: np.ndarray) -> float:
    """Kornblith et al. 2019, equations 3 and 4: HSIC of centered Gram matrices, normalised."""
    count = len(one)
    center = np.eye(count) - np.full((count, count), 1 / count)
    first, second = (center @ each @ each.T @ center for each in (one, other))

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.trace(a @ b)) / (count - 1) ** 2

    return hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))


@pytest.mark.parametrize(("neurons", "others"), [(5, 7), (40, 3), (1, 1)])
def test_it_is_the_normalised_hsic(neurons: int, others: int) -> None:
    one = torch.randn((30, neurons), generator=GENERATOR) + 3
    other = torch.randn((30, others), generator=GENERATOR) + one[:, :1]
    expected = by_gram_matrices(one.double().numpy(), other.double().numpy())
    assert linear_cka(one, other) == pytest.approx(expected)


def test_equal_activations_are_alike_by_1_in_any_order_and_scale() -> None:
    one = torch.randn((30, 6), generator=GENERATOR)
    assert linear_cka(one, one) == pytest.approx(1)
    assert linear_cka(one, 7 * one[:, [3, 1, 0, 2, 5, 4]] + 2) == pytest.approx(1)
    rotation, _ = torch.linalg.qr(torch.randn((6, 6), generator=GENERATOR))
    assert linear_cka(one, one @ rotation) == pytest.approx(1)


def test_activations_that_vary_apart_are_alike_by_0() -> None:
    one = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    other = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    assert linear_cka(one, other) == pytest.approx(0)


def test_silent_neurons_have_no_similarity() -> None:
    one = torch.randn((30, 6), generator=GENERATOR)
    with pytest.raises(ValueError, match="no neuron responds"):
        linear_cka(one, torch.ones(30, 4))
