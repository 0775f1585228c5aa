"""The registry of activations, and the type of a family parameter that names one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from searchlab.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema
    from torch import nn

__all__ = ["ActivationName", "list_activations", "make_activation", "register_activation"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {}


def register_activation(
    name: str,
) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
    """Register a class or function that makes an activation; InputError if the name is taken."""

    def register(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        if name in _ACTIVATIONS:
            raise InputError(
                f"the activation {name!r} is already registered", remedy="Choose another name"
            )
        _ACTIVATIONS[name] = make
        return make

    return register


def list_activations() -> list[str]:
    """Return the names of all registered activations, sorted."""
    return sorted(_ACTIVATIONS)


def make_activation(name: str) -> nn.Module:
    """Return a new activation without parameters; InputError if the name is unknown."""
    return _ACTIVATIONS[_check_name(name)]()


def _check_name(name: str) -> str:
    if name not in _ACTIVATIONS:
        raise InputError(
            "must be a known activation", found=name, remedy=did_you_mean(name, _ACTIVATIONS)
        )
    return name


class _EnumOfActivations:
    """Lists the names when the JSON Schema is made, because a project may register its own."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "enum": list_activations()}


ActivationName = Annotated[str, AfterValidator(_check_name), _EnumOfActivations()]


def _from_torch(class_name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        from torch import nn

        activation: nn.Module = getattr(nn, class_name)()
        return activation

    return make


register_activation("relu")(_from_torch("ReLU"))
register_activation("leaky_relu")(_from_torch("LeakyReLU"))
register_activation("sigmoid")(_from_torch("Sigmoid"))
register_activation("tanh")(_from_torch("Tanh"))
register_activation("gelu")(_from_torch("GELU"))
register_activation("silu")(_from_torch("SiLU"))
