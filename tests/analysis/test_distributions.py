"""Distributions, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchlab.analysis.distributions import DistributionCounter
from searchlab.analysis.measured_layers import SMALLEST, bin_edges


@pytest.fixture
def values() -> torch.Tensor:
    """Values of both signs over ten powers of ten, a tenth of them 0: float32 [700_000]."""
    generator = torch.Generator().manual_seed(5)
    sizes = torch.rand(700_000, generator=generator) * 10 - 8
    signs = torch.randint(-1, 2, (700_000,), generator=generator)
    return signs * torch.rand(700_000, generator=generator).mul(10.0**sizes)


def test_figures_and_histogram_are_numpys(values: torch.Tensor) -> None:
    counter = DistributionCounter()
    for part in torch.split(values.reshape(700, 10, 100), 33):
        counter.add(part)
    found, expected = counter.result(), values.double().numpy()
    assert found.mean == pytest.approx(expected.mean())
    assert found.std == pytest.approx(expected.std())
    assert found.zeros == pytest.approx((expected == 0).mean())
    counts, _ = np.histogram(expected, bin_edges())
    shares = np.zeros(len(counts))
    shares[found.first : found.first + len(found.shares)] = found.shares
    assert shares == pytest.approx(counts / len(expected), abs=1e-6)
    assert found.shares[0] > 0
    assert found.shares[-1] > 0


def test_what_is_beyond_the_bins_counts_in_the_outermost_and_what_is_tiny_as_zero() -> None:
    counter = DistributionCounter()
    counter.add(torch.tensor([1e30, -1e30, SMALLEST / 2, -SMALLEST / 2, 0.0, -0.0, 1e-44, 1.0]))
    found = counter.result()
    assert found.first == 0
    assert len(found.shares) == len(bin_edges()) - 1
    middle = len(found.shares) // 2
    assert found.shares[0] == found.shares[-1] == 1 / 8
    assert found.shares[middle] == 5 / 8
    assert found.zeros == 3 / 8


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        DistributionCounter().add(torch.tensor([1.0, value]))
