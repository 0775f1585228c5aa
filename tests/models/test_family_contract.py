"""What every registered family must do; registering one tests it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from searchlab.config.trial import INITS, SCHEMES, ModelConfig, Scheme
from searchlab.errors import InputError
from searchlab.models import build_model, check_model, count_parameters, get_family, list_families
from searchlab.models.activations import list_activations
from searchlab.models.parameters import FamilyParameters
from searchlab.models.registry import _FAMILIES, ImageShape, register_family

SHAPES = [(1, 8, 8), (1, 16, 16), (1, 28, 28), (3, 32, 32)]
NUM_CLASSES = 7
KEY = (0, 0, 0)

WITH_ACTIVATION = [
    name for name in list_families() if "activation" in get_family(name).parameters.field_names()
]

families = pytest.mark.parametrize("family", list_families())


def build(config: ModelConfig, image_shape: ImageShape = (1, 8, 8)) -> nn.Module:
    return build_model(config, image_shape=image_shape, num_classes=NUM_CLASSES, key=KEY)


def schemes_of(family: str) -> tuple[Scheme, ...]:
    return SCHEMES if get_family(family).first_conv else ("DT",)


def expected_count(model: nn.Module) -> int:
    total = 0
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.in_channels * math.prod(module.kernel_size)
            total += (fan_in + 1) * module.out_channels
        elif isinstance(module, nn.Linear):
            total += (module.in_features + 1) * module.out_features
    return total


@families
@pytest.mark.parametrize("image_shape", SHAPES, ids=str)
def test_family_gives_logits_and_the_counted_parameters(
    family: str, image_shape: ImageShape
) -> None:
    config = ModelConfig(family=family)
    check_model(config, image_shape=image_shape, num_classes=NUM_CLASSES)
    model = build(config, image_shape).eval()
    images = torch.randn(3, *image_shape, generator=torch.Generator().manual_seed(0))
    logits = model(images)
    assert logits.shape == (3, NUM_CLASSES)
    assert logits.isfinite().all()
    counted = count_parameters(config, image_shape=image_shape, num_classes=NUM_CLASSES)
    assert counted == sum(p.numel() for p in model.parameters()) == expected_count(model)


@families
@pytest.mark.parametrize("init", INITS)
def test_every_init_builds_finite_weights_on_the_cpu(family: str, init: str) -> None:
    for scheme in schemes_of(family):
        model = build(ModelConfig(family=family, init=init, scheme=scheme))
        for parameter in model.parameters():
            assert parameter.device.type == "cpu"
            assert parameter.isfinite().all()


@families
def test_every_trainable_parameter_gets_a_gradient(family: str) -> None:
    for scheme in schemes_of(family):
        model = build(ModelConfig(family=family, scheme=scheme))
        model(torch.ones(2, 1, 8, 8)).logsumexp(1).sum().backward()
        for name, parameter in model.named_parameters():
            assert (parameter.grad is not None) == parameter.requires_grad, name


@families
def test_first_conv_is_the_first_convolution(family: str) -> None:
    model = build(ModelConfig(family=family))
    convs = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert get_family(family).first_conv == (convs[0] if convs else None)


@pytest.mark.parametrize("family", WITH_ACTIVATION)
def test_every_activation_is_accepted_and_changes_the_output(family: str) -> None:
    images = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
    outputs = {
        name: build(ModelConfig(family=family, parameters={"activation": name})).eval()(images)
        for name in list_activations()
    }
    reference = outputs.pop("relu")
    assert all(not torch.equal(output, reference) for output in outputs.values())


@families
def test_dropout_probability_reaches_the_network(family: str) -> None:
    config = ModelConfig(family=family, dropout=0.5)
    with pytest.raises(RuntimeError, match="set_dropout_generator"):
        build(config).train()(torch.ones(1, 1, 8, 8))


@families
def test_defaults_and_help_of_every_parameter_are_valid(family: str) -> None:
    parameters = get_family(family).parameters
    for field in parameters.field_names():
        parameters.validate_value(field, parameters.default_value(field))
        assert parameters.help_text(field)
        assert parameters.value_schema(field)["type"] in {"integer", "number", "string", "boolean"}


def test_a1_and_a2_are_the_published_networks() -> None:
    def count(family: str) -> int:
        config = ModelConfig(family=family)
        return count_parameters(config, image_shape=(1, 28, 28), num_classes=10)

    assert count("a1") == (9 + 1) * 5 + (5 * 26 * 26 + 1) * 10
    assert count("a2") == (9 + 1) * 5 + (5 * 9 + 1) * 7 + (7 * 24 * 24 + 1) * 10
    layers = [name for name, _ in build(ModelConfig(family="a2")).named_children()]
    assert layers == ["conv1", "relu1", "conv2", "relu2", "flatten", "dropout1", "fc1"]


@pytest.mark.parametrize(("family", "side"), [("a1", 3), ("a2", 5)])
def test_images_smaller_than_the_kernels_are_refused(family: str, side: int) -> None:
    config = ModelConfig(family=family)
    check_model(config, image_shape=(1, side, side), num_classes=2)
    with pytest.raises(InputError, match=f"at least {side}x{side} pixels"):
        check_model(config, image_shape=(1, side, side - 1), num_classes=2)


def test_cnn_pools_only_while_both_sides_allow_it() -> None:
    config = ModelConfig(family="cnn", parameters={"depth": 8, "width": 4})
    model = build(config, (1, 8, 20))
    pools = [name for name, _ in model.named_children() if name.startswith("pool")]
    assert pools == ["pool1", "pool2", "pool3"]
    assert model.fc1.in_features == 4 * 1 * 2


def test_cnn_takes_one_value_per_layer_and_a_hidden_layer() -> None:
    parameters = {"depth": 3, "width": (4, 5, 6), "kernel": (5, 3, 1), "hidden": 9}
    model = build(ModelConfig(family="cnn", parameters=parameters), (3, 16, 16))
    convs = [model.conv1, model.conv2, model.conv3]
    assert [conv.out_channels for conv in convs] == [4, 5, 6]
    assert [conv.kernel_size[0] for conv in convs] == [5, 3, 1]
    assert (model.fc1.out_features, model.fc2.in_features) == (9, 9)
    assert model(torch.ones(2, 3, 16, 16)).shape == (2, NUM_CLASSES)


def test_fcn_takes_one_width_per_layer() -> None:
    config = ModelConfig(family="fcn", parameters={"depth": 3, "width": (9, 8, 6)})
    model = build(config)
    widths = [model.get_submodule(f"fc{number}").out_features for number in (1, 2, 3, 4)]
    assert widths == [9, 8, 6, NUM_CLASSES]


@pytest.mark.parametrize("family", ["cnn", "fcn"])
def test_wrong_number_of_layer_values_is_an_input_error(family: str) -> None:
    config = ModelConfig(family=family, parameters={"depth": 2, "width": (16, 32, 64)})
    with pytest.raises(
        InputError, match=rf"{family}: width must have one value.* 2 layers, got 3 values"
    ):
        build(config)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"widht": 3}, r"cnn\.widht is not a parameter .* Did you mean width\?"),
        ({"depth": 9}, r"cnn\.depth must be less than or equal to 8, got 9"),
        ({"width": (16, 0)}, r"cnn\.width must be greater than or equal to 1, got 0"),
        ({"activation": "rellu"}, r"cnn\.activation .* got 'rellu'\. Did you mean relu"),
        ({"depth": (1, 2)}, r"cnn\.depth must be a valid integer"),
    ],
)
def test_wrong_parameters_are_input_errors_with_their_place(parameters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_model(
            ModelConfig(family="cnn", parameters=parameters), image_shape=(1, 8, 8), num_classes=2
        )


def test_unknown_family_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"got 'cnnn'\. Did you mean cnn"):
        get_family("cnnn")


@pytest.mark.parametrize("dropout", [-0.1, 1.0, math.nan])
def test_dropout_out_of_range_is_an_input_error(dropout: float) -> None:
    with pytest.raises(InputError, match=r"dropout must be in \[0, 1\)"):
        build(ModelConfig(family="cnn", dropout=dropout))


class WrongHeadParameters(FamilyParameters):
    """No parameters."""


@pytest.fixture
def wrong_head() -> str:
    @register_family(first_conv=None)
    def wrong_head(
        parameters: WrongHeadParameters,
        *,
        image_shape: ImageShape,
        num_classes: int,
        dropout: float,
    ) -> nn.Module:
        """Forget the number of classes."""
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

    yield "wrong_head"
    del _FAMILIES["wrong_head"]


def test_check_model_refuses_logits_of_another_shape(wrong_head: str) -> None:
    with pytest.raises(InputError, match=r"logits of shape \(2, 5\) .* got \(2, 3\)"):
        check_model(ModelConfig(family=wrong_head), image_shape=(1, 8, 8), num_classes=5)


def test_check_model_refuses_images_that_the_layers_cannot_take(wrong_head: str) -> None:
    with pytest.raises(InputError, match=r"family wrong_head does not fit images of shape"):
        check_model(ModelConfig(family=wrong_head), image_shape=(1, 9, 9), num_classes=3)


def test_registering_a_name_twice_raises(wrong_head: str) -> None:
    with pytest.raises(ValueError, match="'cnn' is already registered"):

        @register_family(first_conv=None)
        def cnn(parameters: WrongHeadParameters) -> nn.Module:
            """Clash."""
            return nn.Identity()


def test_registering_without_parameters_class_or_docstring_raises() -> None:
    with pytest.raises(TypeError, match="FamilyParameters"):

        @register_family(first_conv=None)
        def untyped(parameters: dict) -> nn.Module:
            """Say nothing of the parameters."""
            return nn.Identity()

    with pytest.raises(TypeError, match="docstring"):

        @register_family(first_conv=None)
        def silent(parameters: WrongHeadParameters) -> nn.Module:
            return nn.Identity()

    assert not {"untyped", "silent"} & set(list_families())


def test_building_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    for family in list_families():
        for scheme in schemes_of(family):
            config = ModelConfig(family=family, scheme=scheme)
            first = build(config)
            check_model(config, image_shape=(1, 8, 8), num_classes=3)
            assert torch.equal(before, torch.get_rng_state())
            torch.manual_seed(456)
            second = build(config)
            torch.manual_seed(123)
            for one, other in zip(first.parameters(), second.parameters(), strict=True):
                assert torch.equal(one, other)
