"""Which images an epoch trains on: each once, or equally many of each class."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from trial_configs import load_digits, make_trial

from searchlab.config.trial import ModelConfig
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.sampling import draw_epoch

LABELS = torch.tensor([3] * 50 + [1] * 7 + [0] * 3)[torch.randperm(60)]


def draw(sampling: Any, seed: int = 0) -> torch.Tensor:
    return draw_epoch(LABELS, sampling, torch.Generator().manual_seed(seed))


def test_a_shuffled_epoch_has_each_image_once() -> None:
    assert sorted(draw("shuffle").tolist()) == list(range(60))


def test_a_balanced_epoch_has_equally_many_of_each_class_as_evenly_as_they_go() -> None:
    drawn = draw("balanced")
    assert torch.bincount(LABELS[drawn]).tolist() == [20, 20, 0, 20]
    times = torch.bincount(drawn, minlength=60)
    assert times[LABELS == 3].max() == 1  # 20 of the 50
    assert set(times[LABELS == 1].tolist()) == {2, 3}
    assert set(times[LABELS == 0].tolist()) == {6, 7}
    assert (LABELS[drawn].diff() != 0).sum() > 20, "the classes come mixed"


def test_each_epoch_draws_others_and_a_repeated_one_the_same() -> None:
    assert torch.equal(draw("balanced"), draw("balanced"))
    assert not torch.equal(draw("balanced"), draw("balanced", seed=1))


def test_what_is_left_over_goes_by_lot() -> None:
    labels = torch.arange(10) % 3
    counts = {
        tuple(torch.bincount(labels[draw_epoch(labels, "balanced", generator)]).tolist())
        for generator in (torch.Generator().manual_seed(seed) for seed in range(20))
    }
    assert counts == {(4, 3, 3), (3, 4, 3), (3, 3, 4)}


@pytest.fixture(scope="module")
def rare() -> TrainingData:
    """Digits, without most of the nines."""
    data = load_digits()
    nines = torch.nonzero(data.train_labels == 9)[:, 0]
    data.train_labels[nines[5:]] = 8
    return data


def count_trained(data: TrainingData, **settings: Any) -> tuple[torch.Tensor, dict[str, Any]]:
    """Train an epoch; return how many images of each class it saw, and the weights."""
    trial = make_trial(model=ModelConfig(family="fcn"), batch_size=64, dropout=0.0, **settings)
    member = Member(trial, data, 0)
    member.begin_epoch(1)
    batches = [batch for _, batch in member._batches]
    member.train_epoch(1)
    return torch.bincount(data.train_labels[torch.cat(batches)]), member.snapshot()


def test_training_draws_by_the_setting_with_as_many_steps(rare: TrainingData) -> None:
    shuffled, _ = count_trained(rare)
    balanced, weights = count_trained(rare, sampling="balanced")
    assert balanced.sum() == shuffled.sum()
    assert balanced.max() - balanced.min() <= 1
    assert shuffled[9] <= 5 < 50 < balanced[9]
    again, same = count_trained(rare, sampling="balanced")
    assert torch.equal(again, balanced)
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_balanced_images_need_no_weights(rare: TrainingData) -> None:
    _, alone = count_trained(rare, sampling="balanced")
    _, both = count_trained(rare, sampling="balanced", class_weights="balanced")
    assert all(torch.equal(alone[name], both[name]) for name in alone)
