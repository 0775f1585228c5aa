"""The code of the user's own that the training settings of a study name."""

from __future__ import annotations

from collections.abc import Iterator

from searchlab.config.nodes import Choice, Fixed
from searchlab.config.own_code import is_reference
from searchlab.config.settings import CODE_SETTINGS, TrainingSettings
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.errors import Location

__all__ = ["list_references", "settings_with_code"]


def list_references(spec: StudySpec) -> dict[str, str]:
    """Return each ``module:name`` that a study's settings or its space name, and which setting."""
    return {
        getattr(settings, name): name
        for place, settings in settings_with_code(spec)
        if (name := str(place[-1])) in CODE_SETTINGS and is_reference(getattr(settings, name))
    }


def settings_with_code(spec: StudySpec) -> Iterator[tuple[Location, TrainingSettings]]:
    """Yield the settings that name code or give it arguments, and the place of the field.

    For each choice of the space, they are the study's with that choice.
    """
    for place, settings in _owners(spec):
        for name in CODE_SETTINGS:
            if is_reference(getattr(settings, name)):
                yield (*place, name), settings
            elif getattr(settings, f"{name}_arguments"):
                yield (*place, f"{name}_arguments"), settings
    for name in CODE_SETTINGS:
        node = spec.space.shared.get(name) if isinstance(spec.space, SpaceSpec) else None
        for value in node.values() if isinstance(node, (Choice, Fixed)) else ():
            settings = spec.training.changed({name: value})
            if is_reference(str(value)) or getattr(settings, f"{name}_arguments"):
                yield ("space", "parameters", name), settings


def _owners(spec: StudySpec) -> Iterator[tuple[Location, TrainingSettings]]:
    yield ("training",), spec.training
    for row in spec.baseline_grid[:1]:
        yield ("baselines", "training"), spec.baseline_training(row)
    for index, row in enumerate(spec.baselines.rows):
        yield ("baselines", "rows", index, "training"), spec.baseline_training(row)
