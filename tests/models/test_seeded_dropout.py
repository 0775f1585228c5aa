"""Dropout that draws from the generator it was given."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from searchlab.models.dropout import SeededDropout, set_dropout_generator


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_kept_values_are_scaled_so_that_the_mean_stays() -> None:
    dropout = SeededDropout(0.25)
    dropout.generator = seeded(0)
    output = dropout(torch.ones(100, 1000))
    kept = output[output != 0]
    assert torch.allclose(kept, torch.tensor(1 / 0.75))
    assert kept.numel() / output.numel() == pytest.approx(0.75, abs=0.01)


def test_gradient_flows_through_kept_values_only() -> None:
    dropout = SeededDropout(0.5)
    dropout.generator = seeded(0)
    x = torch.ones(50, requires_grad=True)
    output = dropout(x)
    output.sum().backward()
    assert torch.equal(x.grad, output.detach())
    assert 0 < torch.count_nonzero(x.grad) < 50


def test_identity_in_eval_mode_and_at_zero() -> None:
    x = torch.randn(4, 5, generator=seeded(1))
    assert torch.equal(SeededDropout(0.5).eval()(x), x)
    assert torch.equal(SeededDropout(0.0).train()(x), x)


def test_training_without_a_generator_raises() -> None:
    with pytest.raises(RuntimeError, match="set_dropout_generator"):
        SeededDropout(0.5).train()(torch.ones(3))


@pytest.mark.parametrize("probability", [-0.1, 1.0])
def test_probability_out_of_range_raises(probability: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        SeededDropout(probability)


def test_all_layers_draw_from_the_one_generator_and_never_from_the_global_one() -> None:
    model = nn.Sequential(SeededDropout(0.5), nn.Sequential(SeededDropout(0.5)))
    x = torch.ones(64)
    before = torch.get_rng_state()
    set_dropout_generator(model, seeded(5))
    first, next_draw = model(x), model(x)
    set_dropout_generator(model, seeded(5))
    assert torch.equal(model(x), first)
    assert not torch.equal(first, next_draw)
    assert torch.equal(before, torch.get_rng_state())


def test_model_with_a_generator_can_be_copied() -> None:
    dropout = SeededDropout(0.5)
    set_dropout_generator(dropout, seeded(5))
    copied = copy.deepcopy(dropout)
    assert torch.equal(copied(torch.ones(64)), dropout(torch.ones(64)))
