"""A training step of the user's own: what it is given, what it decides, what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.training.checkpoint import load_checkpoint, save_checkpoint
from searchlab.training.checkpoint_files import CheckpointFiles
from searchlab.training.cohort import Cohort
from searchlab.training.graphed_steps import RecordingError
from searchlab.training.images import TrainingData
from searchlab.training.losses import Targets
from searchlab.training.member import Member
from searchlab.training.own_step import StepContext, make_step

HERE = __name__
SMALL = ModelConfig(family="fcn", parameters={"width": 8})


class Plain:
    """What searchlab does itself."""

    def begin(self, context: StepContext) -> None:
        self.context = context

    def loss(self, inputs: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        logits = self.context.predict(self.context.model, inputs)
        return self.context.loss(logits, targets), logits

    def state(self) -> Mapping[str, Tensor]:
        return {}


class Wandering(Plain):
    """Draws when it begins and in every step, and keeps a state that each step moves."""

    def __init__(self, pace: float = 0.1) -> None:
        self.pace = pace

    def begin(self, context: StepContext) -> None:
        super().begin(context)
        self.weights = torch.rand(context.num_classes)

    def loss(self, inputs: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        loss, logits = super().loss(inputs, targets)
        self.weights += self.pace * torch.rand_like(self.weights)
        return loss + (logits.square() * self.weights).mean(), logits

    def state(self) -> Mapping[str, Tensor]:
        return {"weights": self.weights}


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=10)


@pytest.mark.parametrize(
    "settings",
    [
        {"mixup": 0.4, "class_weights": "balanced", "augment": "flip", "accumulate": 2},
        {"precision": "bfloat16", "model": ModelConfig(family="a2", scheme="HF"), "dropout": 0.0},
    ],
    ids=str,
)
def test_a_step_that_does_what_searchlab_does_gives_the_same_bits(
    digits: TrainingData, settings: dict[str, Any]
) -> None:
    trials = [make_trial(epochs=2, step=step, **settings) for step in (f"{HERE}:Plain", "default")]
    own, default = (Cohort(trial, digits) for trial in trials)
    for _ in range(2):
        assert untimed(own.run_epoch()) == untimed(default.run_epoch())


def test_its_draws_repeat_and_its_state_is_continued_to_the_bit(
    digits: TrainingData, tmp_path: Path
) -> None:
    trial = make_trial(model=SMALL, step=f"{HERE}:Wandering", step_arguments={"pace": 0.5})
    whole, cut = Cohort(trial, digits), Cohort(trial, digits)
    expected = [untimed(whole.run_epoch()) for _ in range(3)]
    assert untimed(cut.run_epoch()) == expected[0]
    save_checkpoint(cut, CheckpointFiles(tmp_path, 7))
    continued = Cohort(trial, digits)
    assert load_checkpoint(continued, CheckpointFiles(tmp_path, 7))
    assert [untimed(continued.run_epoch()) for _ in range(2)] == expected[1:]


def test_it_sees_the_members_own_training_images(digits: TrainingData) -> None:
    member = Member(make_trial(step=f"{HERE}:Plain"), digits, 1)
    context = member.step.context  # type: ignore[union-attr]
    training, held_out = digits.split(1)
    assert torch.equal(context.indices, training)
    assert not set(context.indices.tolist()) & set(held_out.tolist())
    images, labels = context.fetch(context.indices[:9])
    assert (images.dtype, len(labels)) == (torch.uint8, 9)
    assert context.model is member.model
    assert context.predict(member.model, context.normalize(images)).shape == (9, 10)


def test_it_is_not_recorded_as_a_graph(digits: TrainingData) -> None:
    with pytest.raises(RecordingError, match=f"the training step {HERE}:Plain may do something"):
        Member(make_trial(step=f"{HERE}:Plain"), digits, 0, graphed=True)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"step": f"{HERE}:Plian"}, "has no class or function of that name. Did you mean Plain"),
        ({"step": f"{HERE}:load_digits"}, "methods begin, loss and state: begin is missing"),
        ({"step": f"{HERE}:Wandering", "step_arguments": {"peace": 1}}, "cannot be made: .*peace"),
    ],
    ids=str,
)
def test_what_is_no_step_is_refused(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        make_step(TrainingSettings(**changes))
