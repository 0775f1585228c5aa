"""How far filters moved, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchlab.analysis.filters import compare_filters


def test_the_distance_is_the_norm_over_all_filters_and_channels() -> None:
    generator = torch.Generator().manual_seed(0)
    first, last = (torch.randn((20, 3, 3, 5), generator=generator) for _ in range(2))
    found = compare_filters("conv1", first, last)
    before, after = first.double().numpy(), last.double().numpy()
    assert found.distance == pytest.approx(np.sqrt(((after - before) ** 2).sum()))
    assert found.norm == pytest.approx(np.linalg.norm(before))
    assert (found.num_filters, found.num_channels) == (20, 3)
    assert np.array(found.first) == pytest.approx(before[:16].mean(1), abs=1e-4)
    assert np.array(found.last) == pytest.approx(after[:16].mean(1), abs=1e-4)


def test_equal_filters_moved_by_exactly_0() -> None:
    weights = torch.full((4, 1, 3, 3), 0.1)
    assert compare_filters("conv1", weights, weights.clone()).distance == 0
