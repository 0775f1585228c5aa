"""The layout of gradients: channels last in every layer, and the same values to the bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from trial_configs import load_digits, make_trial

from searchlab.config.trial import ModelConfig
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.memory_layout import keep_channels_last


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=4)


def make_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 7, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(7 * 16, 10),
    )  # fmt: skip


def gradients_of(network: nn.Module) -> list[Tensor]:
    images = torch.rand((32, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    labels = torch.arange(32) % 10
    torch.autograd.backward(
        cross_entropy(network(images.to(memory_format=torch.channels_last)), labels)
    )
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def test_the_gradient_that_leaves_flatten_is_channels_last() -> None:
    network = make_network()
    keep_channels_last(network)
    seen: list[Tensor] = []
    network[3].register_full_backward_hook(
        lambda _module, _inputs, outputs: seen.append(outputs[0])
    )
    gradients_of(network)
    [gradient] = seen
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    assert not gradient.is_contiguous()


def test_no_gradient_changes_by_a_bit() -> None:
    plain, kept = make_network(), make_network()
    plain.to(memory_format=torch.channels_last)
    keep_channels_last(kept)
    pairs = zip(gradients_of(plain), gradients_of(kept), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_a_flatten_of_vectors_and_a_pass_without_gradients_are_left_alone() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Flatten())
    keep_channels_last(network)
    inputs = torch.rand((3, 4), requires_grad=True)
    torch.autograd.backward(network(inputs).sum())
    assert inputs.grad is not None
    with torch.inference_mode():
        assert network(inputs).shape == (3, 2)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_pooling_before_relu_trains_the_same_model_to_the_bit(
    digits: TrainingData, batch_norm: bool
) -> None:
    trial = make_trial(
        model=ModelConfig(family="cnn", parameters={"width": 4, "batch_norm": batch_norm})
    )
    member = Member(trial, digits, 0)
    names = [name for name, _ in member.model.named_children()]
    assert names.index("pool1") < names.index("activation1")
    other = Member(trial, digits, 0)
    _put_relu_first(other.model)
    assert member.train_epoch(1) == other.train_epoch(1)
    assert torch.equal(member.validate()[1].logits, other.validate()[1].logits)
    ours, theirs = member.snapshot(), other.snapshot()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def _put_relu_first(model: nn.Module) -> None:
    for block in (1, 2):
        pool, relu = getattr(model, f"pool{block}"), getattr(model, f"activation{block}")
        assert isinstance(pool, nn.MaxPool2d)
        assert isinstance(relu, nn.ReLU)
        # In place of each other: the names then no longer say what stands there.
        setattr(model, f"pool{block}", relu)
        setattr(model, f"activation{block}", pool)


@pytest.mark.parametrize("activation", ["gelu", "sigmoid", "leaky_relu"])
def test_other_activations_come_before_the_pooling(activation: str, digits: TrainingData) -> None:
    parameters = {"width": 4, "activation": activation}
    member = Member(make_trial(model=ModelConfig(family="cnn", parameters=parameters)), digits, 0)
    names = [name for name, _ in member.model.named_children()]
    assert names.index("activation1") < names.index("pool1")
