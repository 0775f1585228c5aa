"""How alike neurons respond: the matrix's mean with and without its diagonal, silent neurons."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchlab.analysis.correlations import correlate_neurons, thin_neurons

GENERATOR = torch.Generator().manual_seed(0)


def test_the_figures_are_those_of_the_whole_matrix() -> None:
    activations = torch.randn((40, 5), generator=GENERATOR)
    matrix = np.corrcoef(activations.double().numpy(), rowvar=False)
    found = correlate_neurons(activations)
    assert found.mean == pytest.approx(matrix.mean())
    assert found.std == pytest.approx(matrix.std())
    assert found.off_diagonal == pytest.approx((matrix.sum() - 5) / 20)
    assert (found.num_neurons, found.num_silent) == (5, 0)


def test_copies_and_opposites() -> None:
    column = torch.arange(7.0)[:, None]
    alike = correlate_neurons(torch.cat([column, 3 * column + 1], 1))
    assert (alike.mean, alike.off_diagonal) == (pytest.approx(1), pytest.approx(1))
    opposite = correlate_neurons(torch.cat([column, -column], 1))
    assert (opposite.mean, opposite.off_diagonal) == (pytest.approx(0), pytest.approx(-1))


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e-3, 12345.678])
@pytest.mark.parametrize("num_images", [3, 7, 1000])
def test_a_neuron_that_never_changes_counts_for_nothing(constant: float, num_images: int) -> None:
    """The deviation of a constant column is not always 0: its mean is rounded."""
    activations = torch.randn((num_images, 3), generator=GENERATOR)
    silent = torch.full((num_images, 2), constant)
    found = correlate_neurons(torch.cat([activations, silent], 1))
    assert (found.num_neurons, found.num_silent) == (5, 2)
    assert found.mean == pytest.approx(correlate_neurons(activations).mean)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (torch.zeros(4, 3), "needs two neurons that respond, got 0"),
        (torch.eye(4)[:, :1], "needs two neurons that respond, got 1"),
        (torch.zeros(1, 3), "needs"),
        (torch.zeros(4), "needs"),
    ],
)
def test_too_little_to_correlate_is_refused(activations: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        correlate_neurons(activations)


def test_neurons_are_thinned_at_even_distances_and_ends_stay() -> None:
    activations = torch.arange(10.0).repeat(3, 1)
    assert thin_neurons(activations, 4)[0].tolist() == [0, 3, 6, 9]
    assert thin_neurons(activations, 10) is activations
