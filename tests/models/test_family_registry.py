"""Registering families and presets; what check_model says of a family that is wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.models import get_family, list_families, register_preset
from searchlab.models.build import build_model, check_model
from searchlab.models.parameters import FamilyParameters
from searchlab.models.registry import _FAMILIES, ImageShape, register_family


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


@pytest.fixture
def preset() -> str:
    register_preset(
        "3layers", family="cnn", summary="Three layers", depth=3, width=(2, 4, 6), pool=(1, 1, 2)
    )
    yield "3layers"
    del _FAMILIES["3layers"]


def build(family: str, **parameters: object) -> nn.Module:
    config = ModelConfig(family=family, parameters=parameters)
    return build_model(config, TrainingSettings(), image_shape=(1, 8, 8), num_classes=3, key=(0,))


def widths_of(model: nn.Module) -> list[int]:
    return [module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d)]


def test_preset_is_its_base_with_other_defaults(preset: str) -> None:
    family, base = get_family(preset), get_family("cnn")
    assert preset in list_families()
    assert (family.base, base.base, family.summary) == ("cnn", None, "Three layers")
    assert (family.first_conv, family.build) == (base.first_conv, base.build)
    assert issubclass(family.parameters, base.parameters)
    assert family.parameters.default_value("depth") == 3
    assert family.parameters.default_value("width") == (2, 4, 6)
    assert base.parameters.default_value("width") == 32
    for field in base.parameters.field_names():
        assert family.parameters.help_text(field) == base.parameters.help_text(field)
        assert family.parameters.value_schema(field) | {"default": 0} == (
            base.parameters.value_schema(field) | {"default": 0}
        )
    assert family.parameters.field_names() == base.parameters.field_names()
    assert family.parameters.per_layer_fields() == base.parameters.per_layer_fields()


def test_preset_has_the_weights_of_its_base_so_configured(preset: str) -> None:
    ours = build(preset)
    theirs = build("cnn", depth=3, width=(2, 4, 6), pool=(1, 1, 2)).state_dict()
    assert ours.state_dict().keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.state_dict().items())


def test_presets_parameters_can_be_chosen_and_obey_the_base_rules(preset: str) -> None:
    assert widths_of(build(preset, width=5)) == [5, 5, 5]
    assert widths_of(build(preset, width=(1, 2, 3))) == [1, 2, 3]
    with pytest.raises(InputError, match=r"3layers\.depth must be less than or equal to 8, got 9"):
        build(preset, depth=9)
    with pytest.raises(InputError, match=r"3layers: width must have one value.* 3 layers, got 2"):
        build(preset, width=(1, 2))


@pytest.mark.parametrize(("depth", "widths"), [(2, [2, 4]), (5, [2, 4, 6, 6, 6])])
def test_defaults_per_layer_follow_a_chosen_depth(
    preset: str, depth: int, widths: list[int]
) -> None:
    assert widths_of(build(preset, depth=depth)) == widths


def test_unknown_preset_is_an_unknown_family() -> None:
    with pytest.raises(InputError, match=r"known family, got '2conv1f'\. Did you mean 2conv1fc"):
        get_family("2conv1f")


@pytest.mark.parametrize(
    ("name", "defaults", "message"),
    [
        ("cnn", {}, "'cnn' is already registered"),
        ("cnn.wide", {}, "only letters, digits and _, got 'cnn.wide'"),
        ("wide", {"widht": 3}, r"wide\.widht is not a parameter .* Did you mean width"),
        ("wide", {"width": 0}, r"wide\.width must be greater than or equal to 1"),
        ("wide", {"width": (1, 2, 3)}, "2 layers, got 3 values"),
    ],
)
def test_wrong_presets_are_refused_where_registered(
    name: str, defaults: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        register_preset(name, family="cnn", summary="Wrong", **defaults)
    assert "wide" not in list_families()


def test_finish_runs_on_drawn_weights_before_the_scheme() -> None:
    seen: list[bool] = []

    def finish(model: nn.Module, parameters: WrongHeadParameters) -> None:
        seen.append(bool(model.conv1.weight.isfinite().all()))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(9.0)

    @register_family(first_conv="conv1", finish=finish)
    def finished(
        parameters: WrongHeadParameters,
        *,
        image_shape: ImageShape,
        num_classes: int,
        dropout: float,
    ) -> nn.Module:
        """Nothing to see."""
        return get_family("a1").build(
            parameters, image_shape=image_shape, num_classes=num_classes, dropout=dropout
        )

    try:
        config = ModelConfig(family="finished", scheme="HF")
        model = build_model(
            config, TrainingSettings(), image_shape=(1, 8, 8), num_classes=3, key=(0,)
        )
    finally:
        del _FAMILIES["finished"]
    assert seen == [True]
    assert set(model.fc1.weight.unique().tolist()) == {9.0}
    assert set(model.conv1.weight.unique().tolist()) == {0.0, 1.0}
