"""The families: a decorator registers a function, whose name is the name in a space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, get_type_hints

from torch import nn

from searchlab.errors import InputError, did_you_mean
from searchlab.models.parameters import FamilyParameters

__all__ = [
    "BuildFunction",
    "Family",
    "ImageShape",
    "get_family",
    "list_families",
    "register_family",
]

ImageShape = tuple[int, int, int]
"""Channels, height, width."""


class BuildFunction(Protocol):
    """Makes a family's network; ``parameters`` is of the family's own class.

    Images [B, *image_shape] in, logits [B, num_classes] out. It is called under the meta device,
    so it must not depend on the values of any tensor; the weights are set afterwards.
    """

    def __call__(
        self, parameters: Any, *, image_shape: ImageShape, num_classes: int, dropout: float
    ) -> nn.Module:
        """Make the network; InputError where the images do not suit it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of architectures.

    ``first_conv`` is the attribute of the first convolution, which the schemes HF and HT set by
    hand; None in a family that has none. ``summary`` is one line.
    """

    name: str
    parameters: type[FamilyParameters]
    build: BuildFunction
    first_conv: str | None
    summary: str


_FAMILIES: dict[str, Family] = {}

_F = TypeVar("_F", bound=Callable[..., nn.Module])


def register_family(*, first_conv: str | None) -> Callable[[_F], _F]:
    """Register a build function under its own name.

    Its class of parameters is read from the annotation of ``parameters``, its summary from the
    docstring. Raises ValueError for a name already taken, TypeError for a function without these.
    """

    def register(function: _F) -> _F:
        name = function.__name__
        if name in _FAMILIES:
            raise ValueError(f"the family {name!r} is already registered")
        parameters = get_type_hints(function).get("parameters")
        if not (isinstance(parameters, type) and issubclass(parameters, FamilyParameters)):
            raise TypeError(f"{name}: annotate `parameters` with a subclass of FamilyParameters")
        if not function.__doc__:
            raise TypeError(f"{name}: write a docstring, its first line is the family's summary")
        _FAMILIES[name] = Family(
            name=name,
            parameters=parameters,
            build=function,
            first_conv=first_conv,
            summary=function.__doc__.strip().splitlines()[0],
        )
        return function

    return register


def get_family(name: str) -> Family:
    """Return the family called ``name``; InputError with the nearest names where there is none."""
    if name not in _FAMILIES:
        raise InputError(
            "must be a known family",
            where="family",
            found=name,
            remedy=did_you_mean(name, _FAMILIES),
        )
    return _FAMILIES[name]


def list_families() -> list[str]:
    """Return the names of all registered families, sorted."""
    return sorted(_FAMILIES)
