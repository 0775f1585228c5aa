"""Steps of several batches against one of all their images, and of float16 by a scaled loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.training import updates
from searchlab.training.batches import largest_batch, split_batch, split_epoch
from searchlab.training.checkpoint import load_checkpoint, save_checkpoint
from searchlab.training.checkpoint_files import CheckpointFiles
from searchlab.training.cohort import Cohort
from searchlab.training.graphed_steps import RecordingError
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.updates import Updates


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=10)


def test_a_step_of_several_batches_is_that_of_all_their_images(digits: TrainingData) -> None:
    common: dict[str, Any] = {"dropout": 0.0, "clip_norm": 0.5, "optimizer": "sgd", "lr": 0.1}
    trials = [
        make_trial(**common, batch_size=size, accumulate=count)
        for size, count in ((48, 1), (16, 3))
    ]
    whole, parts = (Member(trial, digits, 0) for trial in trials)
    assert parts.train_epoch(1)["loss"] == pytest.approx(whole.train_epoch(1)["loss"], rel=1e-4)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("num_images", range(1, 26))
@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_image_is_in_one_part_of_about_the_batch_size(num_images: int, size: int) -> None:
    settings = TrainingSettings(batch_size=size, accumulate=3)
    steps = split_epoch(torch.arange(num_images), settings)
    parts = [part for step in steps for part in split_batch(step, settings)]
    assert torch.equal(torch.cat(parts), torch.arange(num_images))
    assert max(map(len, steps)) <= largest_batch(settings)
    assert max(map(len, parts)) <= size + 1
    if size > 1 and num_images > 1:
        assert min(map(len, parts)) > 1
    for step in steps[:-1]:
        assert [len(part) for part in split_batch(step, settings)] == [size] * 3


def test_float16_is_refused_on_the_cpu(digits: TrainingData) -> None:
    with pytest.raises(InputError, match=r"training\.precision cannot be float16 on the CPU"):
        Member(make_trial(precision="float16"), digits, 0)


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "refuse_float16", lambda _device: None)


def half_updates(model: nn.Module, **settings: Any) -> Updates:
    chosen = TrainingSettings(precision="float16", optimizer="sgd", lr=0.1, **settings)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Updates(model, optimizer, chosen, torch.device("cpu"))


def take_step(model: nn.Linear, steps: Updates, inputs: Tensor) -> Tensor:
    steps.begin()
    steps.add(model(inputs).sum(), share=0.5)
    steps.add(model(inputs).sum(), share=0.5)
    steps.step()
    return model.weight.detach().clone()


@pytest.mark.parametrize("clip_norm", [0.0, 0.01])
def test_a_scaled_step_is_a_plain_one_and_one_that_overflows_is_left_out(
    allowed: None, clip_norm: float
) -> None:
    model = nn.Linear(2, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    steps = half_updates(model, clip_norm=clip_norm)
    gradient = torch.tensor([[3.0, 4.0]])
    step = gradient if clip_norm == 0 else gradient / 5 * clip_norm
    weight = take_step(model, steps, gradient)
    torch.testing.assert_close(weight, 1 - 0.1 * step, rtol=1e-4, atol=1e-5)
    before = steps.tensors()["scale"]
    assert torch.equal(take_step(model, steps, torch.tensor([[torch.inf, 1.0]])), weight)
    assert steps.tensors()["scale"] == before / 2
    loaded = half_updates(model, clip_norm=clip_norm)
    loaded.load(steps.tensors())
    assert loaded.tensors() == steps.tensors()


def test_a_trial_in_float16_learns_and_is_continued_to_the_bit(
    allowed: None, digits: TrainingData, tmp_path: Path
) -> None:
    model = ModelConfig(family="fcn", parameters={"width": 8})
    trial = make_trial(precision="float16", model=model, epochs=3)
    whole, cut = Cohort(trial, digits), Cohort(trial, digits)
    expected = [untimed(whole.run_epoch()) for _ in range(3)]
    exact = Cohort(make_trial(model=model, epochs=3), digits).run_epoch()
    assert expected[0] != untimed(exact)
    losses = [result.folds[0].validation["loss"] for result in (expected[0], exact)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    cut.run_epoch()
    save_checkpoint(cut, CheckpointFiles(tmp_path, 7))
    continued = Cohort(trial, digits)
    assert load_checkpoint(continued, CheckpointFiles(tmp_path, 7))
    assert [untimed(continued.run_epoch()) for _ in range(2)] == expected[1:]
    with pytest.raises(RecordingError, match="float16"):
        Member(trial, digits, 0, graphed=True)
