"""Checks of a space against the registered families: names, values, schemes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from searchlab.config.documents import Document, Location
from searchlab.config.space import Choice, EachLayer, Fixed, Options, Range, SpaceSpec, leaf_values
from searchlab.config.trial import SCHEMES, Scalar
from searchlab.errors import InputError, did_you_mean
from searchlab.models import Family, get_family, list_families

__all__ = ["check_space"]

Leaf = Fixed | Choice | Range | EachLayer

# Enough for every width that a family knows; above it only the ends of a range are checked.
_MAX_VALUES = 10_000


def check_space(space: SpaceSpec, document: Document | None, *, prefix: Location = ()) -> None:
    """Raise one InputError, a line a fault, unless every family exists and takes its parameters.

    ``document`` is what the space was read from, ``prefix`` the place of the space in it; without
    a document the places are dotted names only.
    """
    faults: list[str] = []
    above: Location = (*prefix, "parameters", "family")
    nested = isinstance(space.parameters["family"], Options)
    for name, own in space.families.items():
        location = (*above, name) if nested else above
        for below, rule, remedy in _check_family(name, own):
            where = _name_place(document, (*location, *below))
            faults.append(str(InputError(rule, where=where, remedy=remedy)))
    if faults:
        raise InputError("\n".join(faults))


Fault = tuple[Location, str, str | None]
"""Where below the family, the rule with the value found, the remedy."""


def _check_family(name: str, own: dict[str, Leaf]) -> Iterator[Fault]:
    known = list_families()
    if name not in known:
        yield (), f"must be a known family, got {name!r}", did_you_mean(name, known)
        return
    family = get_family(name)
    for parameter, node in own.items():
        faults = _check_scheme if parameter == "scheme" else _check_parameter
        for rule, remedy in faults(family, parameter, node):
            yield (parameter,), rule, remedy


def _check_parameter(family: Family, name: str, node: Leaf) -> Iterator[tuple[str, str | None]]:
    own = family.parameters
    if name not in own.field_names():
        known = _parameter_names(family)
        remedy = did_you_mean(name, known) if known else f"{family.name} has none of its own"
        yield f"is not a parameter of {family.name}", remedy
        return
    if isinstance(node, EachLayer) and name not in own.per_layer_fields():
        layered = ", ".join(own.per_layer_fields()) or "none"
        yield "must be one value for all layers", f"each_layer goes with: {layered}"
        return
    for value in _values(node):
        try:
            own.validate_value(name, value)
        except ValueError as error:
            yield str(error), None
            return


def _check_scheme(family: Family, name: str, node: Leaf) -> Iterator[tuple[str, str | None]]:
    if family.first_conv is None:
        yield (
            f"cannot go with {family.name}, which has no first convolution layer for HF and HT to "
            "set by hand",
            "Remove it",
        )
    elif isinstance(node, EachLayer):
        yield f"must be one value for the whole network, not one per layer: {name}", None
    else:
        for value in leaf_values(node):
            if value not in SCHEMES:
                yield f"must be a scheme, got {value!r}", did_you_mean(str(value), SCHEMES)


def _parameter_names(family: Family) -> tuple[str, ...]:
    scheme = () if family.first_conv is None else ("scheme",)
    return (*family.parameters.field_names(), *scheme)


def _values(node: Leaf) -> Iterable[Scalar]:
    """Return every value where there are few: the rule may be one that both ends keep (odd)."""
    inner = node.each_layer if isinstance(node, EachLayer) else node
    if isinstance(inner, Range):
        count = inner.count()
        if count is not None and count <= _MAX_VALUES:
            return inner.values() or ()
    return leaf_values(inner)


def _name_place(document: Document | None, location: Location) -> str:
    return document.where(location) if document else ".".join(str(part) for part in location)
