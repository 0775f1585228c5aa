"""Where weights begin: torch's own distributions, drawn from derived seeds."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from searchlab.config.seeds import derive_seed
from searchlab.config.settings import Init, TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.models.build import build_model
from searchlab.models.initialisation import NORMAL_STD, holds_own_tensors, initialize

KEY = (3, 1, 0)


class TwoLayers(nn.Module):
    """A convolution of fan_in 72, fan_out 576, and a linear layer of fan_in 200, fan_out 300."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 64, 3)
        self.linear = nn.Linear(200, 300)


def initialized(init: str, key: tuple[str | int, ...] = KEY) -> TwoLayers:
    model = TwoLayers()
    initialize(model, init=init, key=key)
    return model


def torch_default(layer: nn.Module) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer.reset_parameters()
    return layer


def assert_same_distribution(ours: Tensor, theirs: Tensor) -> None:
    """Both uniform over the same interval: extremes and standard deviation agree."""
    tolerance = 5 / math.sqrt(ours.numel())
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=tolerance)
    assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=tolerance)
    assert abs(ours.mean().item()) < tolerance * ours.std().item()


def test_default_init_has_the_distribution_of_torchs_own_layers() -> None:
    ours = initialized("default")
    theirs = TwoLayers()
    for name in ("conv", "linear"):
        layer, reference = getattr(ours, name), torch_default(getattr(theirs, name))
        assert_same_distribution(layer.weight, reference.weight)
        assert_same_distribution(layer.bias, reference.bias)


def test_default_init_replays_torchs_own_draws_for_the_same_generator() -> None:
    layer = nn.Linear(20, 30)
    initialize(layer, init="default", key=KEY)
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(*KEY, "weights", "", "weight", "(30, 20)"))
        reference = nn.init.kaiming_uniform_(torch.empty(30, 20), a=math.sqrt(5))
    assert torch.equal(layer.weight, reference)


FANS = {"conv": (72, 576), "linear": (200, 300)}


@pytest.mark.parametrize(
    ("init", "std"),
    [
        ("xavier_uniform", lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out))),
        ("xavier_normal", lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out))),
        ("kaiming_uniform", lambda fan_in, fan_out: math.sqrt(2 / fan_in)),
        ("kaiming_normal", lambda fan_in, fan_out: math.sqrt(2 / fan_in)),
        ("normal", lambda fan_in, fan_out: NORMAL_STD),
    ],
)
def test_init_has_its_published_spread_and_zero_biases(init: str, std: object) -> None:
    model = initialized(init)
    for name, fans in FANS.items():
        layer = getattr(model, name)
        expected = std(*fans)
        tolerance = 5 / math.sqrt(layer.weight.numel())
        assert layer.weight.std().item() == pytest.approx(expected, rel=tolerance)
        assert abs(layer.weight.mean().item()) < tolerance * expected
        assert (layer.weight.abs().max() <= math.sqrt(3) * expected).item() == (
            init.endswith("uniform")
        )
        assert torch.count_nonzero(layer.bias) == 0


@pytest.mark.parametrize("init", get_args(Init))
def test_nothing_is_left_uninitialised(init: Init) -> None:
    for family in ("a2", "cnn", "fcn", "local", "resnet"):
        config, settings = ModelConfig(family=family), TrainingSettings(init=init)
        model = build_model(config, settings, image_shape=(1, 9, 9), num_classes=3, key=KEY)
        floats = [value for value in model.state_dict().values() if value.is_floating_point()]
        with torch.no_grad():
            for value in floats:
                value.fill_(math.nan)
        initialize(model, init=init, key=KEY)
        assert all(value.isfinite().all() for value in floats)


def test_weights_follow_the_key_and_nothing_else() -> None:
    one, same, other = initialized("default"), initialized("default"), initialized("default", (4,))
    assert torch.equal(one.conv.weight, same.conv.weight)
    assert torch.equal(one.linear.bias, same.linear.bias)
    assert not torch.equal(one.conv.weight, other.conv.weight)
    assert not torch.equal(one.linear.bias, other.linear.bias)


def test_layers_of_one_shape_get_unlike_weights() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    initialize(model, init="default", key=KEY)
    assert not torch.equal(model[0].weight, model[1].weight)


def test_draws_are_float32_whatever_the_models_dtype() -> None:
    single, double = nn.Linear(5, 4), nn.Linear(5, 4, dtype=torch.float64)
    initialize(single, init="kaiming_normal", key=KEY)
    initialize(double, init="kaiming_normal", key=KEY)
    assert torch.equal(single.weight.double(), double.weight)


def test_norm_layers_start_as_torch_starts_them() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.LayerNorm(3), nn.GroupNorm(1, 3))
    reference = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        for value in model.state_dict().values():
            value.fill_(7)
    initialize(model, init="default", key=KEY)
    for name, value in model.state_dict().items():
        assert torch.equal(value, reference[name]), name


class Unshared(nn.Module):
    """A layer whose weight's shape does not tell its fans."""

    fans = (50, 20)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3000))
        self.bias = None


def test_layer_of_its_own_kind_is_drawn_by_the_fans_that_it_tells() -> None:
    spreads = {}
    for init in get_args(Init):
        layer = Unshared()
        initialize(layer, init=init, key=KEY)
        spreads[init] = layer.weight.std().item()
    assert spreads == pytest.approx(
        {
            "default": math.sqrt(1 / 3 / 50),
            "normal": NORMAL_STD,
            "xavier_uniform": math.sqrt(2 / 70),
            "xavier_normal": math.sqrt(2 / 70),
            "kaiming_uniform": math.sqrt(2 / 50),
            "kaiming_normal": math.sqrt(2 / 50),
        },
        rel=0.1,
    )


@pytest.mark.parametrize("init", ["xavier_uniform", "kaiming_normal"])
def test_draws_are_torchs_own_for_the_same_generator(init: str) -> None:
    layer = nn.Conv2d(4, 6, 3, groups=2)
    initialize(layer, init=init, key=KEY)
    seed = derive_seed(*KEY, "weights", "", "weight", "(6, 2, 3, 3)")
    generator = torch.Generator().manual_seed(seed)
    options = {"nonlinearity": "relu"} if init.startswith("kaiming") else {}
    fill = getattr(nn.init, f"{init}_")
    assert torch.equal(layer.weight, fill(torch.empty(6, 2, 3, 3), generator=generator, **options))


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(3))


class ScaledLinear(nn.Linear):
    def __init__(self) -> None:
        super().__init__(3, 3)
        self.scale = nn.Parameter(torch.empty(3))


class Buffered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.empty(3))


@pytest.mark.parametrize("module", [Scaled, ScaledLinear, Buffered])
def test_what_no_init_knows_stays_as_it_is(module: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Linear(2, 2), module())
    for tensor in model[1].state_dict().values():
        torch.nn.init.constant_(tensor, 7.0)
    initialize(model, init="kaiming_normal", key=KEY)
    assert model[0].weight.abs().max() < 7
    assert all(torch.all(tensor == 7) for tensor in model[1].state_dict().values())
    assert holds_own_tensors(model)
    assert not holds_own_tensors(model[:1])
