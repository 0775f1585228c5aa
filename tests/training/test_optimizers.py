from __future__ import annotations

from typing import get_args

import pytest
import timm.optim
import torch
from torch import Tensor, nn

from searchlab.config.settings import OptimizerName, TrainingSettings
from searchlab.training.optimizers import OPTIMIZERS, make_optimizer

PLAIN = {
    "sgd": lambda weights: torch.optim.SGD(
        weights, lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.01
    ),
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.05, weight_decay=0.01),
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.05, weight_decay=0.01),
    "rmsprop": lambda weights: torch.optim.RMSprop(
        weights, lr=0.05, momentum=0.8, weight_decay=0.01
    ),
    "lion": lambda weights: timm.optim.Lion(weights, lr=0.05, weight_decay=0.01),
}


def make_model() -> nn.Linear:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.arange(6.0).reshape(2, 3) / 10)
        model.bias.zero_()
    return model


def train(model: nn.Linear, optimizer: torch.optim.Optimizer) -> Tensor:
    inputs = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.1, 2.0]])
    for _ in range(5):
        optimizer.zero_grad()
        torch.autograd.backward(model(inputs).square().sum())
        optimizer.step()
    return model.weight.detach()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_steps_as_torchs_plain_one_with_the_same_settings(name: OptimizerName) -> None:
    settings = TrainingSettings(
        optimizer=name, lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.01
    )
    model, plain = make_model(), make_model()
    torch.testing.assert_close(
        train(model, make_optimizer(settings, model)), train(plain, PLAIN[name](plain.parameters()))
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_decay_of_norms_only_matrices_decay(name: OptimizerName) -> None:
    def step(**settings: bool) -> tuple[Tensor, Tensor]:
        model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.5)
        optimizer = make_optimizer(
            TrainingSettings(optimizer=name, lr=0.05, weight_decay=0.1, **settings), model
        )
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        vectors = [model[0].bias, model[1].weight, model[1].bias]
        return model[0].weight.detach(), torch.cat(vectors).detach()

    assert all((values < 0.5).all() for values in step())
    matrix, vectors = step(decay_norms=False)
    assert (matrix < 0.5).all()
    assert (vectors == 0.5).all()


TORCHS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "lion": timm.optim.Lion,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_a_study_leaves_out_is_as_in_torch(name: OptimizerName) -> None:
    model = make_model()
    (ours,) = make_optimizer(TrainingSettings(optimizer=name), model).param_groups
    (plain,) = TORCHS[name](model.parameters()).param_groups
    names = (plain.keys() & ours.keys()) - {"foreach", "fused"}  # how it steps, not where to
    assert {name: ours[name] for name in names} == {name: plain[name] for name in names}


@pytest.mark.parametrize(
    ("name", "other", "differ"),
    [("adam", "adamw", True), ("sgd", "rmsprop", True), ("adam", "adam", False)],
)
def test_another_optimizer_alone_trains_another_model(
    name: OptimizerName, other: OptimizerName, differ: bool
) -> None:
    settings = TrainingSettings(optimizer=name, lr=0.05)
    models = [make_model(), make_model()]
    ours, theirs = (
        train(model, make_optimizer(one, model))
        for model, one in zip(
            models, (settings, settings.changed({"optimizer": other})), strict=True
        )
    )
    assert torch.equal(ours, theirs) != differ


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_momentum_matters(name: OptimizerName) -> None:
    weights = []
    for momentum in (0.0, 0.9):
        model = make_model()
        settings = TrainingSettings(optimizer=name, lr=0.01, momentum=momentum)
        weights.append(train(model, make_optimizer(settings, model)))
    assert not torch.allclose(*weights)


def test_nesterov_matters_with_momentum_and_is_ignored_without() -> None:
    def run(momentum: float, nesterov: bool) -> Tensor:
        model = make_model()
        settings = TrainingSettings(optimizer="sgd", lr=0.01, momentum=momentum, nesterov=nesterov)
        return train(model, make_optimizer(settings, model))

    assert not torch.allclose(run(0.9, True), run(0.9, False))
    assert torch.equal(run(0.0, True), run(0.0, False))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_frozen_layer_is_left_out(name: OptimizerName) -> None:
    model = make_model()
    model.weight.requires_grad_(False)
    optimizer = make_optimizer(TrainingSettings(optimizer=name), model)
    (group,) = optimizer.param_groups
    assert [id(parameter) for parameter in group["params"]] == [id(model.bias)]


def test_every_optimizer_that_a_study_may_name_is_made() -> None:
    assert set(OPTIMIZERS) == set(get_args(OptimizerName))
