"""Checks of a space against the registered families: names, values, schemes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from searchlab.config.documents import Document
from searchlab.config.nodes import Choice, Fixed, Range
from searchlab.config.space import EachLayer, Options, SpaceSpec
from searchlab.config.trial import SCHEMES, Scalar
from searchlab.errors import CombinedInputError, InputError, Location, did_you_mean
from searchlab.models import Family, get_family, list_families

__all__ = ["check_space"]

Leaf = Fixed | Choice | Range | EachLayer

# Enough for every width that a family knows; above it only the ends of a range are checked.
_MAX_VALUES = 10_000


def check_space(space: SpaceSpec, document: Document | None, *, prefix: Location = ()) -> None:
    """Raise CombinedInputError unless every family exists and takes its parameters.

    ``document`` is what the space was read from, ``prefix`` the place of the space in it; without
    a document the places are dotted names only.
    """
    errors: list[InputError] = []
    above: Location = (*prefix, "parameters", "family")
    nested = isinstance(space.parameters["family"], Options)
    for name, own in space.families.items():
        location = (*above, name) if nested else above
        if name not in list_families():
            remedy = did_you_mean(name, list_families())
            error = InputError("must be a known family", found=name, remedy=remedy)
            errors.append(error.at(_name_place(document, location)))
            continue
        for parameter, node in own.items():
            check = _check_scheme if parameter == "scheme" else _check_parameter
            where = _name_place(document, (*location, parameter))
            errors += [error.at(where) for error in check(get_family(name), parameter, node)]
    if errors:
        raise CombinedInputError(errors)


def _check_parameter(family: Family, name: str, node: Leaf) -> Iterator[InputError]:
    own = family.parameters
    if name not in own.field_names():
        known = _parameter_names(family)
        remedy = did_you_mean(name, known) if known else f"{family.name} has none of its own"
        yield InputError(f"is not a parameter of {family.name}", remedy=remedy)
        return
    if isinstance(node, EachLayer) and name not in own.per_layer_fields():
        layered = ", ".join(own.per_layer_fields()) or "none"
        remedy = f"each_layer goes with: {layered}"
        yield InputError("must be one value for all layers", remedy=remedy)
        return
    for value in _values(node):
        try:
            own.validate_value(name, value)
        except InputError as error:
            yield error
            return


def _check_scheme(family: Family, name: str, node: Leaf) -> Iterator[InputError]:
    if family.first_conv is None:
        yield InputError(
            f"cannot go with {family.name}, which has no first convolution layer for HF and HT to "
            "set by hand",
            remedy="Remove it",
        )
    elif isinstance(node, EachLayer):
        yield InputError(f"must be one value for the whole network, not one per layer: {name}")
    else:
        for value in node.ends():
            if value not in SCHEMES:
                remedy = did_you_mean(str(value), SCHEMES)
                yield InputError("must be a scheme", found=value, remedy=remedy)


def _parameter_names(family: Family) -> tuple[str, ...]:
    scheme = () if family.first_conv is None else ("scheme",)
    return (*family.parameters.field_names(), *scheme)


def _values(node: Leaf) -> Iterable[Scalar]:
    """Return all values unless there are too many: a rule may hold at both ends (odd) by chance."""
    inner = node.each_layer if isinstance(node, EachLayer) else node
    count = inner.count()
    few = count is not None and count <= _MAX_VALUES
    return inner.values() or () if few else inner.ends()


def _name_place(document: Document | None, location: Location) -> str:
    return document.where(location) if document else ".".join(str(part) for part in location)
