"""The points with which a search starts: of each family, what a user would try first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchlab.config.nodes import Choice, Range
from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import Scalar

if TYPE_CHECKING:
    from searchlab.study.space.points import Point
    from searchlab.study.space.study_space import StudySpace

__all__ = ["start_points"]


def start_points(space: StudySpace, training: TrainingSettings) -> list[Point]:
    """Return a point for each family of a space: ``training`` and the family's defaults.

    A value outside the space is moved to the nearest in it, or to the first of a list of names.
    """

    def choose(name: str, node: Choice | Range) -> Scalar:
        value = _usual_value(name, training)
        return node.middle() if value is None else node.nearest(value)

    return list(space.asked_points(choose))


def _usual_value(name: str, training: TrainingSettings) -> Scalar | None:
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
