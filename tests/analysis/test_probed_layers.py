"""Layers of a network: dead units, gradients and activations, computed by hand in numpy."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from searchlab.analysis.layers import probe_layers
from searchlab.analysis.measured_layers import LayerProbe
from searchlab.models.batch_norm import BatchNorm2d


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Images [24, 2, 6, 6] and labels of three classes."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn((24, 2, 6, 6), generator=generator)
    return images, torch.randint(0, 3, (24,), generator=generator)


def make_model(**layers: nn.Module) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(OrderedDict(layers))


def probe(model: nn.Module, *batches: tuple[Tensor, Tensor]) -> dict[str, LayerProbe]:
    return {layer.name: layer for layer in probe_layers(model, batches, "float32")}


def make_perceptron() -> nn.Module:
    torch.manual_seed(3)
    return make_model(
        flatten=nn.Flatten(), fc1=nn.Linear(72, 8), relu1=nn.ReLU(), fc2=nn.Linear(8, 3)
    )


def test_figures_are_those_of_a_network_computed_in_numpy(batch: tuple[Tensor, Tensor]) -> None:
    model = make_perceptron()
    weights = {name: each.detach().double().numpy() for name, each in model.named_parameters()}
    inputs, labels = batch[0].flatten(1).double().numpy(), batch[1].numpy()
    hidden = inputs @ weights["fc1.weight"].T + weights["fc1.bias"]
    relu = hidden.clip(0)
    logits = relu @ weights["fc2.weight"].T + weights["fc2.bias"]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    errors = (shares - np.eye(3)[labels]) / len(labels)
    gradients = {
        "fc2": errors.T @ relu,
        "fc1": ((errors @ weights["fc2.weight"]) * (hidden > 0)).T @ inputs,
    }
    parts = [(batch[0][:10], batch[1][:10]), (batch[0][10:], batch[1][10:])]
    found = probe(model, *parts)
    assert list(found) == ["fc1", "relu1", "fc2"]
    for name, values in (("fc1", hidden), ("relu1", relu), ("fc2", logits)):
        assert found[name].activation.mean == pytest.approx(values.mean(), rel=1e-5)
        assert found[name].activation.std == pytest.approx(values.std(), rel=1e-5)
        assert found[name].activation.zeros == pytest.approx((values == 0).mean())
    for name, gradient in gradients.items():
        measured = found[name].gradient
        assert measured is not None
        assert measured.mean == pytest.approx(gradient.mean(), rel=1e-4, abs=1e-7)
        assert measured.std == pytest.approx(gradient.std(), rel=1e-4)
    assert found["relu1"].gradient is None
    assert found["relu1"].dead == int((relu == 0).all(0).sum())


def test_a_layer_killed_on_purpose_has_all_units_dead_and_no_gradient(
    batch: tuple[Tensor, Tensor],
) -> None:
    model = make_perceptron()
    with torch.no_grad():
        model.get_submodule("fc1").bias.fill_(-1000)  # type: ignore[operator, union-attr]
    found = probe(model, batch)
    assert (found["relu1"].dead, found["relu1"].units) == (8, 8)
    assert found["relu1"].activation.zeros == 1
    assert found["fc1"].gradient is not None
    assert (found["fc1"].gradient.std, found["fc1"].gradient.zeros) == (0, 1)
    assert found["fc1"].dead is None, "its outputs are far below 0, but no ReLU's"


def test_a_channel_is_dead_only_if_it_is_0_on_every_image_and_place(
    batch: tuple[Tensor, Tensor],
) -> None:
    model = make_model(
        conv1=nn.Conv2d(2, 5, 3), relu1=nn.ReLU(), flatten=nn.Flatten(), fc1=nn.Linear(80, 3)
    )
    conv = model.get_submodule("conv1")
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    with torch.no_grad():
        conv.bias[:] = torch.tensor([-1000.0, 0, -1000, 0, 0])
        highest = float(conv(batch[0])[:, 3].max())
        conv.bias[3] -= highest - 1e-3  # a single place of a single image is above 0
    parts = [(batch[0][:12], batch[1][:12]), (batch[0][12:], batch[1][12:])]
    found = probe(model, *parts)["relu1"]
    assert (found.units, found.dead) == (5, 2)


def test_batch_norm_is_told_from_the_relu_that_overwrites_its_output(
    batch: tuple[Tensor, Tensor],
) -> None:
    model = make_model(
        conv1=nn.Conv2d(2, 4, 3), norm1=BatchNorm2d(4), relu1=nn.ReLU(inplace=True),
        flatten=nn.Flatten(), fc1=nn.Linear(64, 3),
    )  # fmt: skip
    found = probe(model, batch)
    assert [layer.kind for layer in found.values()] == ["Conv2d", "BatchNorm2d", "ReLU", "Linear"]
    assert found["norm1"].activation.zeros == 0
    assert found["norm1"].dead is None
    assert found["norm1"].gradient is not None
    assert 0.3 < found["relu1"].activation.zeros < 0.7


def test_a_resnet_has_a_layer_for_each_use_of_a_shared_relu(batch: tuple[Tensor, Tensor]) -> None:
    model = resnet18(num_classes=3)
    images = batch[0][:, :1].repeat(1, 3, 6, 6)
    found = probe(model, (images, batch[1]))
    assert [found[f"layer1.0.{name}"].kind for name in ("bn1", "relu", "bn2", "relu (use 2)")] == [
        "BatchNorm2d", "ReLU", "BatchNorm2d", "ReLU",
    ]  # fmt: skip
    kinds = [layer.kind for layer in found.values()]
    assert (kinds.count("Conv2d"), kinds.count("BatchNorm2d"), kinds.count("ReLU")) == (20, 20, 17)


def test_probing_leaves_the_model_as_it_was(batch: tuple[Tensor, Tensor]) -> None:
    model = make_model(
        conv1=nn.Conv2d(2, 4, 3), norm1=BatchNorm2d(4), relu1=nn.ReLU(), drop=nn.Dropout(0.5),
        flatten=nn.Flatten(), fc1=nn.Linear(64, 3),
    )  # fmt: skip
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    probe(model, batch)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_frozen_layers_have_no_gradient(batch: tuple[Tensor, Tensor]) -> None:
    model = make_perceptron()
    model.get_submodule("fc1").requires_grad_(False)
    found = probe(model, batch)
    assert found["fc1"].is_frozen
    assert found["fc1"].gradient is None
    assert found["fc2"].gradient is not None
    model.requires_grad_(False)
    assert all(layer.gradient is None for layer in probe(model, batch).values())


class OwnLayer(nn.Module):
    """A layer of a plugin: parameters under names of its own, and a pair of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.full((3,), 0.5))
        self.shift = nn.Parameter(torch.zeros(3))

    def forward(self, values: Tensor) -> tuple[Tensor, str]:
        return values * self.slope + self.shift, "more"


class OwnNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.own, self.unused = OwnLayer(), nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        logits, _ = self.own(images.mean((2, 3)) @ torch.ones(2, 3))
        return nn.functional.sigmoid(logits) * self.scale


def test_layers_without_convolution_or_relu_and_of_ones_own(batch: tuple[Tensor, Tensor]) -> None:
    found = probe(OwnNetwork(), batch)
    assert list(found) == ["own", "network"], "what does not run is not there"
    assert found["own"].kind == "OwnLayer"
    assert found["own"].units == 3
    assert found["own"].gradient is not None
    assert all(layer.dead is None for layer in found.values())


def test_a_layer_whose_values_are_not_finite_is_named(batch: tuple[Tensor, Tensor]) -> None:
    model = make_perceptron()
    with torch.no_grad():
        model.get_submodule("fc1").bias.fill_(torch.inf)  # type: ignore[operator, union-attr]
    with pytest.raises(ValueError, match="layer fc1 has values that are not finite"):
        probe(model, batch)
