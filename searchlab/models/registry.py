"""The registry of families: a decorator registers a function under the name used in a space."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from searchlab.config.trial import SCHEMES, Scalar
from searchlab.docstrings import docstring_of
from searchlab.errors import InputError, did_you_mean
from searchlab.models.parameters import FamilyParameters

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "FIRST_CONV",
    "BuildFunction",
    "Family",
    "FinishFunction",
    "ImageShape",
    "add_family",
    "get_family",
    "list_families",
    "register_family",
    "register_preset",
]

ImageShape = tuple[int, int, int]
"""Channels, height, width."""

FIRST_CONV: Final = "*"
"""As a family's ``first_conv``: the first convolution of whatever network it builds."""


class BuildFunction(Protocol):
    """Makes a family's network; ``parameters`` is an instance of the family's own class.

    The network takes images [B, *image_shape] and returns logits [B, num_classes]. If it can, the
    call runs under the meta device, and the weights are set afterwards.
    """

    def __call__(
        self, parameters: Any, *, image_shape: ImageShape, num_classes: int, dropout: float
    ) -> nn.Module:
        """Make the network; InputError if the images do not suit it (``where`` is added)."""
        ...


FinishFunction = Callable[["nn.Module", Any], None]
"""Changes an initialised network, given the family's parameters, before the scheme is applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of architectures.

    ``first_conv`` is the attribute of the first convolution, which the schemes HF and HT set by
    hand; FIRST_CONV if it depends on the network, None if the family has none. ``summary`` is one
    line. ``finish`` runs on the initialised network, for example to load weights. With
    ``draws_own``, the init ``default`` keeps the weights that the build function draws. ``head`` is
    the attribute of the last layers, which alone get what all others make of an image; None for a
    sequence, and if there are no such layers. ``base`` is the family whose defaults a preset
    changes; None for a family with its own build function.
    """

    name: str
    parameters: type[FamilyParameters]
    build: BuildFunction
    first_conv: str | None
    summary: str
    finish: FinishFunction | None = None
    draws_own: bool = False
    head: str | None = None
    base: str | None = None

    def value_schemas(self) -> dict[str, dict[str, Any]]:
        """Return the JSON Schema, with its description, of a value of each parameter by name."""
        own = self.parameters
        schemas = {
            name: {**own.value_schema(name), "description": own.help_text(name)}
            for name in own.field_names()
        }
        if self.first_conv is not None:
            schemas["scheme"] = {"enum": list(SCHEMES), "description": _SCHEME_HELP}
        return schemas


_SCHEME_HELP = "first convolution: HF by hand, frozen; HT by hand, trained; DT default"

_FAMILIES: dict[str, Family] = {}

_NAME = re.compile(r"[A-Za-z0-9_]+")

_F = TypeVar("_F", bound="Callable[..., nn.Module]")


def register_family(
    *,
    first_conv: str | None,
    finish: FinishFunction | None = None,
    draws_own: bool = False,
    head: str | None = None,
) -> Callable[[_F], _F]:
    """Register a build function under its own name.

    The annotation of ``parameters`` gives the parameter class, the docstring's first line the
    summary; ``Family`` describes the rest. Raises InputError if the name is taken, TypeError if
    either is missing.
    """

    def register(function: _F) -> _F:
        name = function.__name__
        parameters = _find_class(function)
        if not (isinstance(parameters, type) and issubclass(parameters, FamilyParameters)):
            raise TypeError(f"{name}: annotate `parameters` with a subclass of FamilyParameters")
        docstring = docstring_of(function)
        if not docstring and sys.flags.optimize < 2:  # a plugin's source may not be kept
            raise TypeError(f"{name}: write a docstring; its first line is the family's summary")
        add_family(
            Family(
                name=name,
                parameters=parameters,
                build=function,
                first_conv=first_conv,
                summary=docstring.partition("\n")[0],
                finish=finish,
                draws_own=draws_own,
                head=head,
            )
        )
        return function

    return register


def _find_class(function: Callable[..., nn.Module]) -> object:
    """Return what ``parameters`` is annotated with; the other annotations may need torch."""
    parameter = signature(function).parameters.get("parameters")
    annotation = None if parameter is None else parameter.annotation
    if isinstance(annotation, str):  # from __future__ import annotations
        return eval(annotation, function.__globals__)
    return annotation


def register_preset(
    name: str, *, family: str, summary: str, **defaults: Scalar | tuple[Scalar, ...]
) -> Family:
    """Register ``family`` once more as ``name``, with other defaults for its parameters.

    The preset is a family like any other: the base family supplies the other defaults, and every
    parameter can be searched. Raises InputError if the name is taken or has characters other than
    letters, digits and _, or if the family refuses a default.
    """
    base = get_family(family)
    preset = Family(
        name=name,
        parameters=base.parameters.with_defaults(name, summary, defaults),
        build=base.build,
        first_conv=base.first_conv,
        summary=summary,
        finish=base.finish,
        draws_own=base.draws_own,
        head=base.head,
        base=family,
    )
    add_family(preset)
    return preset


def add_family(family: Family) -> None:
    """Make a family known; InputError if its name is taken or has other characters."""
    _require_free(family.name)
    _FAMILIES[family.name] = family


def get_family(name: str) -> Family:
    """Return the family called ``name``; InputError with the nearest names if there is none."""
    if name not in _FAMILIES:
        raise InputError(
            "must be a known family",
            where="family",
            found=name,
            remedy=did_you_mean(name, _FAMILIES),
        )
    return _FAMILIES[name]


def list_families() -> list[str]:
    """Return the names of all registered families, presets included, sorted."""
    return sorted(_FAMILIES)


def _require_free(name: str) -> None:
    if not _NAME.fullmatch(name):  # in Optuna's names a dot separates family and parameter
        raise InputError(
            "must contain only letters, digits and _", where="a family's name", found=name
        )
    if name in _FAMILIES:
        raise InputError(f"the family {name!r} is already registered", remedy="Choose another name")
