"""Your own network as a family: a class or function, whose arguments are what a space searches."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, isclass, signature
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from pydantic import Field, create_model

from searchlab.docstrings import docstring_of
from searchlab.errors import InputError
from searchlab.models.parameters import FamilyParameters
from searchlab.models.registry import FIRST_CONV, Family, ImageShape, add_family

if TYPE_CHECKING:
    from torch import nn

__all__ = ["register_network"]

_M = TypeVar("_M", bound="Callable[..., nn.Module]")

_GIVEN = ("in_channels", "image_shape", "num_classes", "dropout")
"""Arguments that searchlab gives."""


def register_network(make: _M) -> _M:
    """Register a class or function that makes a network as a family of its name.

    It must take ``num_classes``, and may take ``in_channels``, ``image_shape`` (channels, height,
    width) and ``dropout``. Every other argument needs a default and the annotation bool, int,
    float, str or Literal: a space can search it. The network takes images [B, *image_shape] and
    returns logits [B, num_classes]. Under the init ``default`` it keeps the weights that its own
    code draws with torch. Without an argument ``dropout``, the dropout of a study precedes the
    layer that gives the logits. Raises TypeError if an argument breaks a rule, InputError if the
    name is taken.
    """
    parameters = _make_parameters(make)
    arguments = signature(make).parameters

    def build(
        parameters: Any, *, image_shape: ImageShape, num_classes: int, dropout: float
    ) -> nn.Module:
        from searchlab.models.adaptation import set_head

        given = {
            "in_channels": image_shape[0],
            "image_shape": image_shape,
            "num_classes": num_classes,
            "dropout": dropout,
        }
        own = {name: getattr(parameters, name) for name in parameters.field_names()}
        try:
            model = make(**own, **{name: given[name] for name in _GIVEN if name in arguments})
        except (ValueError, AssertionError) as error:  # so a constructor refuses its arguments
            raise InputError(f"cannot be built with {own}: {error}") from error
        if "dropout" not in arguments:
            set_head(model, num_classes=num_classes, dropout=dropout)
        return model

    summary = docstring_of(make).partition("\n")[0] or f"Your own network {make.__name__}"
    add_family(
        Family(
            name=make.__name__,
            parameters=parameters,
            build=build,
            first_conv=FIRST_CONV,
            summary=summary,
            draws_own=True,
        )
    )
    return make


def _make_parameters(make: Callable[..., nn.Module]) -> type[FamilyParameters]:
    """Return a class with a field for each argument that the study may choose."""
    arguments = signature(make).parameters
    if "num_classes" not in arguments:
        raise TypeError(f"{make.__name__} needs an argument num_classes")
    hints = get_type_hints(make.__init__ if isclass(make) else make)
    fields: dict[str, Any] = {}
    for name, argument in arguments.items():
        if name in _GIVEN:
            continue
        if argument.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            raise TypeError(f"{make.__name__} must name each of its arguments, without *{name}")
        if argument.default is Parameter.empty or name not in hints:
            raise TypeError(f"{make.__name__}: {name} needs an annotation and a default")
        described = Field(argument.default, description=f"{name} of {make.__name__}")
        fields[name] = (hints[name], described)
    return create_model(f"{make.__name__}Parameters", __base__=FamilyParameters, **fields)
