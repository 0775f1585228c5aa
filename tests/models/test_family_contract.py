"""What every registered family must do, presets included; registering one tests it."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from searchlab.config.settings import Init, TrainingSettings
from searchlab.config.trial import SCHEMES, ModelConfig, Scheme
from searchlab.errors import InputError
from searchlab.models import get_family, list_families
from searchlab.models.activations import list_activations
from searchlab.models.build import build_model, check_model, count_multiply_adds, count_parameters
from searchlab.models.initialisation import layer_of_schemes
from searchlab.models.locally_connected import LocallyConnected2d
from searchlab.models.registry import ImageShape

SHAPES = [(1, 8, 8), (1, 16, 16), (1, 28, 28), (3, 32, 32)]
ODD_SHAPES = [(1, 1, 1), (4, 5, 3), (2, 3, 21)]
REFUSED = {("a2_report002", (1, 8, 8))}
"""Families that do not take all of SHAPES; of ODD_SHAPES a family may refuse any."""
NUM_CLASSES = 7
KEY = (0, 0, 0)
SMALL = (1, 16, 16)
"""Images that every family takes."""

WITH_ACTIVATION = [
    name for name in list_families() if "activation" in get_family(name).parameters.field_names()
]

families = pytest.mark.parametrize("family", list_families())


def build(config: ModelConfig, image_shape: ImageShape = SMALL, **settings: Any) -> nn.Module:
    return build_model(
        config,
        TrainingSettings(**settings),
        image_shape=image_shape,
        num_classes=NUM_CLASSES,
        key=KEY,
    )


def draw_images(num_images: int, image_shape: ImageShape = SMALL) -> torch.Tensor:
    return torch.randn(num_images, *image_shape, generator=torch.Generator().manual_seed(0))


def schemes_of(family: str) -> tuple[Scheme, ...]:
    return SCHEMES if get_family(family).first_conv else ("DT",)


def expected_count(model: nn.Module) -> int:
    total = 0
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.in_channels // module.groups * math.prod(module.kernel_size)
            total += (fan_in + (module.bias is not None)) * module.out_channels
        elif isinstance(module, nn.Linear):
            total += (module.in_features + 1) * module.out_features
        elif isinstance(module, LocallyConnected2d):
            fan_in = module.in_channels * module.kernel_size**2
            total += math.prod(module.output_size) * module.out_channels * (fan_in + 1)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            total += 2 * module.num_features
    return total


@families
@pytest.mark.parametrize("image_shape", SHAPES, ids=str)
def test_family_gives_logits_and_the_counted_parameters(
    family: str, image_shape: ImageShape
) -> None:
    config = ModelConfig(family=family)
    if (family, image_shape) in REFUSED:
        assert_refuses(config, image_shape)
        return
    check_model(config, image_shape=image_shape, num_classes=NUM_CLASSES)
    model = build(config, image_shape).eval()
    logits = model(draw_images(3, image_shape))
    assert logits.shape == (3, NUM_CLASSES)
    assert logits.isfinite().all()
    counted = count_parameters(config, image_shape=image_shape, num_classes=NUM_CLASSES)
    assert counted == sum(p.numel() for p in model.parameters()) == expected_count(model)


@families
@pytest.mark.parametrize("image_shape", ODD_SHAPES, ids=str)
def test_odd_images_are_taken_or_refused_as_input(family: str, image_shape: ImageShape) -> None:
    config = ModelConfig(family=family)
    try:
        logits = build(config, image_shape).eval()(draw_images(2, image_shape))
    except InputError:
        assert_refuses(config, image_shape)
    else:
        assert logits.shape == (2, NUM_CLASSES)
        check_model(config, image_shape=image_shape, num_classes=NUM_CLASSES)


def assert_refuses(config: ModelConfig, image_shape: ImageShape) -> None:
    """Every way in says the same: the family, the rule, what was found."""
    message = rf"family {config.family} needs images of at least (\d+)x\1 pixels, got '\d+x\d+'"
    with pytest.raises(InputError, match=message):
        build(config, image_shape)
    for ask in (check_model, count_parameters, count_multiply_adds):
        with pytest.raises(InputError, match=message):
            ask(config, image_shape=image_shape, num_classes=NUM_CLASSES)


@families
@pytest.mark.parametrize("init", get_args(Init))
def test_every_init_sets_every_tensor_on_the_cpu(family: str, init: str) -> None:
    model = build(ModelConfig(family=family), init=init)
    for tensor in model.state_dict().values():
        assert tensor.device.type == "cpu"
        assert tensor.isfinite().all()


@families
def test_one_step_changes_what_is_trained_and_nothing_frozen(family: str) -> None:
    images, labels = draw_images(8), torch.arange(8) % NUM_CLASSES
    for scheme in schemes_of(family):
        model = build(ModelConfig(family=family, scheme=scheme)).train()
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        cross_entropy(model(images), labels).backward()
        trained = [value for value in model.parameters() if value.requires_grad]
        torch.optim.SGD(trained, lr=1.0).step()
        for name, value in model.named_parameters():
            assert torch.equal(value, before[name]) != value.requires_grad, (scheme, name)


@families
def test_multiply_adds_are_at_least_one_for_every_weight_of_a_layer(family: str) -> None:
    config = ModelConfig(family=family)
    counted = count_multiply_adds(config, image_shape=SMALL, num_classes=NUM_CLASSES)
    layers = (nn.Conv2d, nn.Linear, LocallyConnected2d)
    modules = build(config).modules()
    assert counted >= sum(m.weight.numel() for m in modules if isinstance(m, layers))


@families
def test_first_conv_is_the_first_convolution(family: str) -> None:
    model = build(ModelConfig(family=family))
    convs = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert layer_of_schemes(model, get_family(family)) == (convs[0] if convs else None)


@pytest.mark.parametrize("family", WITH_ACTIVATION)
def test_every_activation_is_accepted_and_changes_the_output(family: str) -> None:
    images = torch.linspace(-1, 1, 256).reshape(1, *SMALL)
    outputs = {
        name: build(ModelConfig(family=family, parameters={"activation": name})).eval()(images)
        for name in list_activations()
    }
    reference = outputs.pop("relu")
    assert all(not torch.equal(output, reference) for output in outputs.values())


@families
def test_dropout_probability_reaches_the_network(family: str) -> None:
    model = build(ModelConfig(family=family), dropout=0.5)
    with pytest.raises(RuntimeError, match="set_dropout_generator"):
        model.train()(draw_images(2))


@families
def test_defaults_and_help_of_every_parameter_are_valid(family: str) -> None:
    parameters = get_family(family).parameters
    for field in parameters.field_names():
        default = parameters.default_value(field)
        layered = isinstance(default, tuple)
        assert not layered or field in parameters.per_layer_fields()
        for value in default if layered else (default,):
            parameters.validate_value(field, value)
        assert parameters.help_text(field)
        assert parameters.value_schema(field)["type"] in {"integer", "number", "string", "boolean"}


@families
def test_every_depth_alone_can_be_chosen(family: str) -> None:
    parameters = get_family(family).parameters
    if "depth" not in parameters.field_names():
        return
    for depth in (1, 4):
        config = ModelConfig(family=family, parameters={"depth": depth})
        check_model(config, image_shape=SMALL, num_classes=NUM_CLASSES)


@families
def test_name_and_summary_fit_a_space_and_one_line(family: str) -> None:
    assert "." not in family
    summary = get_family(family).summary
    assert len(summary) <= 100
    assert "\n" not in summary


@families
def test_building_leaves_the_global_random_state_alone(family: str) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    config = ModelConfig(family=family, scheme=schemes_of(family)[0])
    first = build(config)
    check_model(config, image_shape=SMALL, num_classes=3)
    count_multiply_adds(config, image_shape=SMALL, num_classes=3)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(456)
    second = build(config)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
