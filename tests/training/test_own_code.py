"""Optimizers and losses of the user's own, named as module:name: found, used and continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trial_configs import load_digits, make_trial, untimed

from searchlab.config import plugins
from searchlab.config.own_code import load_reference
from searchlab.config.plugins import load_sources
from searchlab.config.settings import TrainingSettings
from searchlab.errors import InputError
from searchlab.training.checkpoint import load_checkpoint, save_checkpoint
from searchlab.training.checkpoint_files import CheckpointFiles
from searchlab.training.cohort import Cohort
from searchlab.training.graphed_steps import RecordingError
from searchlab.training.images import TrainingData
from searchlab.training.losses import Targets, TrainingLoss
from searchlab.training.member import Member
from searchlab.training.optimizers import make_optimizer

HERE = __name__


class Counting(torch.optim.Optimizer):
    """Keeps what torch's own do not: whole numbers, lists, and values of a group."""

    def __init__(self, groups: Any, lr: float, weight_decay: float = 0.5, pace: float = 0.9):
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "scale": 1.0})
        self.pace = pace

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            group["scale"] *= self.pace
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state.update(step=0, exact=torch.tensor([2**53 + 1]), recent=[0.0, 0.0])
                state["step"] += 1
                state["exact"] += 1
                state["recent"] = [state["recent"][1], float(weight.grad.abs().max())]
                rate = group["lr"] * group["scale"] / state["step"] ** 0.5
                weight.sub_(weight.grad * (rate * (1 + (int(state["exact"]) % 3))))
                weight.sub_(weight, alpha=group["lr"] * group["weight_decay"])
                weight.sub_(weight, alpha=group["lr"] * state["recent"][0])


class Hoarding(torch.optim.SGD):
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        super().step()
        for weight in self.param_groups[0]["params"]:
            self.state[weight]["past"] = {weight.grad}


def hinge(logits: Tensor, labels: Tensor, margin: float = 1.0) -> Tensor:
    wanted = logits.gather(1, labels[:, None])
    return (margin + logits - wanted).clamp(min=0).sum(1) - margin


def mean_hinge(logits: Tensor, labels: Tensor) -> Tensor:
    return hinge(logits, labels).mean()


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=10)


def weights_after(optimizer: torch.optim.Optimizer, model: nn.Linear) -> Tensor:
    for _ in range(3):
        optimizer.zero_grad()
        torch.autograd.backward(model(torch.ones(2, 3)).square().sum())
        optimizer.step()
    return model.weight.detach()


def linear() -> nn.Linear:
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, 0.5)
    nn.init.constant_(model.bias, 0.1)
    return model


def test_a_named_optimizer_gets_the_settings_that_it_takes_and_its_own_arguments() -> None:
    settings = TrainingSettings(
        optimizer="torch.optim:RAdam",
        lr=0.05,
        momentum=0.5,  # of which RAdam knows nothing
        weight_decay=0.1,
        optimizer_arguments={"betas": (0.8, 0.9)},
    )
    model, plain = linear(), linear()
    theirs = torch.optim.RAdam(plain.parameters(), lr=0.05, weight_decay=0.1, betas=(0.8, 0.9))
    assert torch.equal(
        weights_after(make_optimizer(settings, model), model), weights_after(theirs, plain)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "torch.optim:RAdamm"}, "has no class or function of that name. Did you"),
        ({"optimizer": "not_there:X"}, "cannot be imported: ModuleNotFoundError"),
        ({"optimizer": "torch:zeros"}, "must name a subclass of torch.optim.Optimizer"),
        ({"optimizer": "torch.optim:RAdam", "optimizer_arguments": {"beta": 1}}, "unexpected key"),
        ({"optimizer": "adam", "optimizer_arguments": {"betas": (2, 2)}}, "Invalid beta"),
        ({"optimizer": "lion", "optimizer_arguments": {"betas": (2, 2)}}, "betas must be two"),
    ],
    ids=str,
)
def test_an_optimizer_that_cannot_be_made_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_optimizer(TrainingSettings(**changes), linear())


def test_what_an_optimizer_keeps_on_the_host_is_continued_to_the_bit(
    digits: TrainingData, tmp_path: Path
) -> None:
    trial = make_trial(optimizer=f"{HERE}:Counting", optimizer_arguments={"pace": 0.99}, lr=0.003)
    whole, cut = Cohort(trial, digits), Cohort(trial, digits)
    expected = [untimed(whole.run_epoch()) for _ in range(3)]
    cut.run_epoch()
    save_checkpoint(cut, CheckpointFiles(tmp_path, 7))
    continued = Cohort(trial, digits)
    assert load_checkpoint(continued, CheckpointFiles(tmp_path, 7))
    assert [untimed(continued.run_epoch()) for _ in range(2)] == expected[1:]
    [group] = continued.members[0].optimizer.param_groups
    assert 0 < group["scale"] < 0.99
    state = continued.members[0].optimizer.state[group["params"][0]]
    assert state["exact"].dtype == torch.int64


def test_a_checkpoint_says_what_it_cannot_hold(digits: TrainingData, tmp_path: Path) -> None:
    cohort = Cohort(make_trial(optimizer=f"{HERE}:Hoarding"), digits)
    cohort.run_epoch()
    with pytest.raises(TypeError, match="Hoarding keeps a set as 'past' of its state"):
        save_checkpoint(cohort, CheckpointFiles(tmp_path, 7))


def test_a_named_optimizer_is_not_recorded_as_a_graph(digits: TrainingData) -> None:
    trial = make_trial(optimizer=f"{HERE}:Counting")
    with pytest.raises(RecordingError, match=f"the optimizer {HERE}:Counting may keep something"):
        Member(trial, digits, 0, graphed=True)


def test_a_named_loss_counts_images_as_the_others_do(digits: TrainingData) -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 0, 0, 1, 2, 3])
    settings = TrainingSettings(
        loss=f"{HERE}:hinge", loss_arguments={"margin": 0.5}, class_weights="balanced"
    )
    mixed = Targets(labels, labels.roll(1), torch.linspace(0, 1, 6))
    weights = torch.tensor([0.5, 0.5, 0.5, 1.5, 1.5, 1.5])
    each = [
        hinge(logits, one, 0.5) * w
        for one, w in ((labels, weights), (labels.roll(1), weights.roll(1)))
    ]
    expected = (mixed.share * each[0] + (1 - mixed.share) * each[1]).mean()
    assert torch.allclose(TrainingLoss(settings, labels, 4)(logits, mixed), expected)
    assert Cohort(make_trial(loss=f"{HERE}:hinge"), digits).run_epoch().folds


def test_a_loss_that_returns_a_mean_is_refused() -> None:
    loss = TrainingLoss(TrainingSettings(loss=f"{HERE}:mean_hinge"), torch.tensor([0, 1]), 2)
    with pytest.raises(
        InputError, match=r"must return a tensor with the loss of each image, \[2\]"
    ):
        loss(torch.zeros(2, 2), Targets(torch.tensor([0, 1])))


def test_a_plugins_file_is_found_by_its_name_even_where_the_file_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plugins, "_loaded", {})
    source = "import torch\ndef double(logits, labels):\n    return 2 * logits.sum(1)\n"
    load_sources({"/gone/mine.py": source})
    assert load_reference("mine:double", field="loss")(torch.ones(1, 3), None) == 6
    load_sources({"/gone/elsewhere/mine.py": source})
    with pytest.raises(InputError, match="mine is the name of several files"):
        load_reference("mine:double", field="loss")
