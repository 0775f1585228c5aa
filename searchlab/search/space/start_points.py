"""The points with which a search starts: of each family, what a user would try first, or gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from searchlab.config.nodes import Choice, Range
from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings
from searchlab.config.trial import Scalar, TrialConfig
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.search.space.points import Point
    from searchlab.search.space.study_space import StudySpace

__all__ = ["config_values", "given_point", "start_points", "usual_value"]


def start_points(space: StudySpace, training: TrainingSettings) -> list[Point]:
    """Return a point for each family of a space: ``training`` and the family's defaults.

    A value outside the space is moved to the nearest in it, or to the first of a list of names.
    """

    def choose(name: str, node: Choice | Range) -> Scalar:
        value = usual_value(name, training)
        return node.middle() if value is None else node.nearest(value)

    return list(space.asked_points(choose))


def given_point(
    space: StudySpace, training: TrainingSettings, values: Mapping[str, Scalar]
) -> Point:
    """Return the point with these values; what they leave out is as in the reference point.

    Values of parameters that the space does not search are not looked at. Raises InputError, at the
    parameter, for a value outside the space.
    """
    outside: dict[str, Choice | Range] = {}

    def choose(name: str, node: Choice | Range) -> Scalar:
        if name in values and name != "family":
            if node.contains(values[name]):
                return node.settle(values[name])
            outside[name] = node
        value = usual_value(name, training)
        return node.middle() if value is None else node.nearest(value)

    families = []
    for point in space.asked_points(choose):
        families.append(str(point["family"]))
        if values.get("family") == point["family"]:
            for name, node in outside.items():
                rule = f"must lie in the space's {name} ({node.describe()[1]})"
                raise InputError(rule, where=(name,), found=values[name])
            return point
        outside.clear()
    raise InputError(
        f"must be a family of the space ({', '.join(families)})",
        where=("family",),
        found=values.get("family"),
    )


def config_values(config: TrialConfig) -> dict[str, Scalar]:
    """Return a configuration's value of everything that a space may search, by name."""
    family = config.model.family
    values: dict[str, Scalar] = {
        **config.settings.model_dump(include=set(SHARED_PARAMETERS)),
        "family": family,
        f"{family}.scheme": config.model.scheme,
    }
    for own, value in config.model.parameters.items():
        if not isinstance(value, tuple):
            values[f"{family}.{own}"] = value
            continue
        values |= {f"{family}.layer{layer}.{own}": item for layer, item in enumerate(value)}
        if len(set(value)) == 1:  # as a space has it that gives all layers one value
            values[f"{family}.{own}"] = value[0]
    return values


def usual_value(name: str, training: TrainingSettings) -> Scalar | None:
    """Return what a parameter has if nobody searches it; None if that cannot be told."""
    if "." not in name:
        value: Scalar | None = getattr(training, name, None)
        return value
    family, *layer, own = name.split(".")
    return "DT" if own == "scheme" else _default_of(family, own, layer)


def _default_of(family: str, own: str, layer: list[str]) -> Scalar | None:
    from searchlab.models import get_family, list_families  # torch

    if family not in list_families():
        return None  # a space function may call its parameters what it likes
    parameters = get_family(family).parameters
    if own not in parameters.field_names():
        return None
    default: Any = parameters.default_value(own)
    if not isinstance(default, tuple):
        return default  # type: ignore[no-any-return]
    index = int(layer[0].removeprefix("layer")) if layer else 0
    return default[min(index, len(default) - 1)]  # type: ignore[no-any-return]
