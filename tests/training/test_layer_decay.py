"""Layers that learn more slowly towards the input: which they are, and how far a step goes."""

from __future__ import annotations

from collections import OrderedDict
from itertools import groupby

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small, resnet18, vit_b_16

from searchlab.config.settings import TrainingSettings
from searchlab.training.layer_decay import number_layers
from searchlab.training.optimizers import make_optimizer
from searchlab.training.schedules import Schedule


def first_of_each_layer(model: nn.Module) -> list[str]:
    numbers = number_layers(model)
    assert list(numbers) == [name for name, _ in model.named_parameters()]
    firsts = [next(names) for _, names in groupby(numbers, key=numbers.__getitem__)]
    assert len(firsts) == max(numbers.values()) + 1  # none is in two places
    return firsts


def test_blocks_are_layers_and_norms_belong_to_the_layer_before_them() -> None:
    with torch.device("meta"):
        residual, transformer = resnet18(), vit_b_16()
    blocks = [f"layer{stage}.{block}.conv1.weight" for stage in (1, 2, 3, 4) for block in (0, 1)]
    assert first_of_each_layer(residual) == ["conv1.weight", *blocks, "fc.weight"]
    blocks = [f"encoder.layers.encoder_layer_{block}.ln_1.weight" for block in range(12)]
    # The class token, the patches and their positions are one layer.
    expected = ["class_token", *blocks, "heads.head.weight"]
    assert first_of_each_layer(transformer) == expected


def test_what_a_block_consists_of_is_no_layer_of_its_own() -> None:
    with torch.device("meta"):
        inverted = mobilenet_v3_small()  # with convolutions and their norms in sequences
    blocks = [f"features.{number}.block.0.0.weight" for number in range(1, 12)]
    ends = ["features.12.0.weight", "classifier.0.weight", "classifier.3.weight"]
    assert first_of_each_layer(inverted) == ["features.0.0.weight", *blocks, *ends]


def make_model() -> nn.Sequential:
    layers = {"norm": nn.LayerNorm(3), "one": nn.Linear(3, 3), "two": nn.Linear(3, 2)}
    model = nn.Sequential(OrderedDict(layers))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5)
        parameter.grad = torch.ones_like(parameter)
    return model


@pytest.mark.parametrize("decay_norms", [True, False])
def test_a_step_goes_by_the_decayed_rate(decay_norms: bool) -> None:
    settings = TrainingSettings(
        optimizer="sgd", lr=0.1, layer_decay=0.6, weight_decay=0.2, decay_norms=decay_norms
    )
    model = make_model()
    optimizer = make_optimizer(settings, model)
    Schedule(settings, steps_per_epoch=1).apply(optimizer, 0)
    optimizer.step()

    def after(rate: float, parameter: Tensor) -> Tensor:
        decay = 0.2 if decay_norms or parameter.ndim > 1 else 0.0
        return torch.full_like(parameter, 0.5 - rate * (1 + decay * 0.5))

    rates = {"norm": 0.06, "one": 0.06, "two": 0.1}
    for name, parameter in model.named_parameters():
        expected = after(rates[name.partition(".")[0]], parameter)
        torch.testing.assert_close(parameter.detach(), expected)


def test_without_it_there_is_one_group_as_before() -> None:
    [group] = make_optimizer(TrainingSettings(), make_model()).param_groups
    assert "lr_scale" not in group
