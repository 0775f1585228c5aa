"""A class of parameters can be asked about its fields and about single values."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import AfterValidator, Field, ValidationError

from searchlab.errors import InputError
from searchlab.models.cnn import CnnParameters
from searchlab.models.fcn import FcnParameters
from searchlab.models.parameters import FamilyParameters, PerLayer, each_layer

Share = Annotated[float, Field(ge=0, le=1)]


def _check_even(value: int) -> int:
    if value % 2:
        raise InputError("must be even", remedy="Double it")
    return value


class SampleParameters(FamilyParameters):
    """One field of each kind."""

    depth: int = Field(2, ge=1, description="layers")
    share: PerLayer[Share] = Field(0.5, description="a share")
    scale: float = Field(1.0, gt=0, description="a scale")
    residual: bool = Field(False, description="a switch")
    heads: Annotated[int, AfterValidator(_check_even)] = Field(2, description="an even number")


def test_fields_tell_which_are_per_layer() -> None:
    assert CnnParameters.field_names() == (
        "depth", "width", "width_factor", "kernel", "activation", "pool", "batch_norm", "hidden",
        "hidden2", "block_dropout", "dropout_at",
    )  # fmt: skip
    assert CnnParameters.per_layer_fields() == ("width", "kernel", "pool")
    assert FcnParameters.per_layer_fields() == ("width",)
    assert CnnParameters.default_value("width") == 32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depth", 8),
        ("width", 1024),
        ("kernel", 11),
        ("activation", "gelu"),
        ("hidden", 0),
        ("pool", 1),
        ("batch_norm", True),
        ("dropout_at", "hidden"),
        ("block_dropout", 0),
    ],
)
def test_good_values_pass(field: str, value: object) -> None:
    CnnParameters.validate_value(field, value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("depth", 0, "must be greater than or equal to 1, got 0"),
        ("depth", 9, "must be less than or equal to 8, got 9"),
        ("depth", 2.0, "must be a whole number, got 2.0"),
        ("depth", True, "must be a whole number, got True"),
        ("depth", "2", "must be a whole number, got '2'"),
        ("width", 0, "must be greater than or equal to 1"),
        ("width", (16, 32), "must be a whole number"),
        ("kernel", 4, "must be odd.*, got 4"),
        ("kernel", True, "must be a whole number"),
        ("kernel", 13, "must be less than or equal to 11"),
        ("activation", "rellu", r"got 'rellu'\. Did you mean relu"),
        ("activation", 3, "must be a string, got 3"),
        ("hidden", -1, "must be greater than or equal to 0"),
        ("widht", 3, r"not a parameter of this family, got 'widht'\. Did you mean width\?"),
    ],
)
def test_bad_value_is_a_value_error_with_its_rule(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        CnnParameters.validate_value(field, value)
    assert not isinstance(caught.value, ValidationError)


def test_floats_take_ints_but_no_bools_and_no_infinities() -> None:
    SampleParameters.validate_value("scale", 2)
    SampleParameters.validate_value("residual", True)
    for field, value in [("scale", True), ("scale", float("inf")), ("share", 1.5), ("residual", 1)]:
        with pytest.raises(ValueError, match="must be"):
            SampleParameters.validate_value(field, value)


def test_a_family_s_own_rule_keeps_its_remedy() -> None:
    with pytest.raises(InputError, match=r"^must be even, got 3\. Double it$"):
        SampleParameters.validate_value("heads", 3)
    with pytest.raises(InputError, match=r"^mine\.heads must be even, got 3\. Double it$"):
        SampleParameters.parse({"heads": 3}, where="mine")


def test_value_schema_is_of_one_value() -> None:
    assert CnnParameters.value_schema("width") == {"type": "integer", "minimum": 1, "maximum": 1024}
    assert CnnParameters.value_schema("kernel") == {"type": "integer", "enum": [1, 3, 5, 7, 9, 11]}
    assert "silu" in CnnParameters.value_schema("activation")["enum"]
    assert SampleParameters.value_schema("scale") == {"type": "number", "exclusiveMinimum": 0}


def test_the_class_itself_is_as_strict_as_its_single_values() -> None:
    for values in ({"depth": True}, {"width": (1.0, 2)}, {"width": (1, 2, 3)}, {"other": 1}):
        with pytest.raises(ValidationError):
            CnnParameters(**values)
    assert CnnParameters(depth=3, width=(1, 2, 3)).width == (1, 2, 3)


def test_parameters_are_frozen() -> None:
    with pytest.raises(ValidationError):
        CnnParameters().depth = 3


def test_field_without_default_or_description_is_refused_where_declared() -> None:
    with pytest.raises(TypeError, match="needs a default and a description"):

        class NoHelp(FamilyParameters):
            size: int = 3

    with pytest.raises(TypeError, match="needs a default and a description"):

        class NoDefault(FamilyParameters):
            size: int = Field(description="size")


def test_per_layer_field_needs_a_depth() -> None:
    with pytest.raises(TypeError, match="needs a field depth"):

        class NoDepth(FamilyParameters):
            size: PerLayer[int] = Field(3, description="size")


def test_each_layer_spreads_one_value_and_keeps_a_tuple() -> None:
    assert each_layer(3, 2) == (3, 3)
    assert each_layer((3, 4), 2) == (3, 4)
