"""Layers that draw from torch's own generator, as torch's dropout does, repeat like all others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.trial import ModelConfig
from searchlab.models import register_network, registry
from searchlab.training.checkpoint import load_checkpoint, save_checkpoint
from searchlab.training.checkpoint_files import CheckpointFiles
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=5)


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))

    @register_network
    def torchs_dropout(in_channels: int, num_classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(in_channels, 8, 3),
            nn.Dropout2d(0.5),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, num_classes),
        )


def test_a_trial_continued_after_other_draws_ends_at_the_same_bits(
    digits: TrainingData, tmp_path: Path
) -> None:
    trial = make_trial(model=ModelConfig(family="torchs_dropout"))
    whole = Cohort(trial, digits)
    expected = [untimed(whole.run_epoch()) for _ in range(trial.settings.epochs)]
    cut = Cohort(trial, digits)
    for _ in range(2):
        cut.run_epoch()
    files = CheckpointFiles(tmp_path, 7)
    save_checkpoint(cut, files)
    torch.rand(13)
    continued = Cohort(trial, digits)
    assert load_checkpoint(continued, files)
    assert [untimed(continued.run_epoch()) for _ in range(2)] == expected[2:]


def test_training_leaves_torchs_own_generator_alone_and_draws_anew_in_each_step(
    digits: TrainingData,
) -> None:
    member = Cohort(make_trial(model=ModelConfig(family="torchs_dropout")), digits).members[0]
    masks: list[torch.Tensor] = []
    member.model[1].register_forward_hook(
        lambda layer, inputs, output: masks.append((output[0] == 0).all((1, 2)).clone())
    )
    state = torch.get_rng_state()
    member.train_epoch(1)
    assert torch.equal(state, torch.get_rng_state())
    assert len({tuple(mask.tolist()) for mask in masks}) > 1
