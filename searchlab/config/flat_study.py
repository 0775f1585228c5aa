"""A study as fields by their places, and the fields in which two studies differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec

__all__ = ["FieldDifference", "find_differences", "flatten_study"]

# What a study is called, and what is known from its other fields.
_NOT_COMPARED = ("name", "space.name", "changed", "presets")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """A field that differs, by its place: ``search.trials``. A value that is absent is ``...``."""

    place: str
    ours: Any
    theirs: Any


def find_differences(ours: StudySpec, theirs: StudySpec) -> list[FieldDifference]:
    """Return the fields in which two studies differ, in the order of a study file.

    A default is the same as the value written out. The names of studies do not count.
    """
    left, right = flatten_study(ours), flatten_study(theirs)
    sections = list(StudySpec.model_fields)
    places = sorted(
        dict.fromkeys((*left, *right)), key=lambda place: sections.index(place.split(".")[0])
    )
    found = [
        FieldDifference(place=place, ours=left.get(place, ...), theirs=right.get(place, ...))
        for place in places
    ]
    return [
        one
        for one in found
        if one.ours != one.theirs
        and not _is_filled_elsewhere(one, places)
        and not one.place.startswith(tuple(f"{name}." for name in _NOT_COMPARED))
        and one.place not in _NOT_COMPARED
    ]


def _is_filled_elsewhere(difference: FieldDifference, places: list[str]) -> bool:
    """Return whether a field is empty in one study, and the other's entries have their own rows."""
    return {} in (difference.ours, difference.theirs) and any(
        place.startswith(f"{difference.place}.") for place in places
    )


def flatten_study(spec: StudySpec) -> dict[str, object]:
    """Return every field of a study with its value, defaults included, by its place."""
    data = spec.model_dump(mode="json")
    if isinstance(spec.space, SpaceSpec):
        data["space"] = spec.space.to_data()
    data["objective"] = [
        {**one.model_dump(mode="json"), "direction": one.natural_direction}
        for one in spec.objective
    ]
    # The settings that were given replace the study's, whatever their values.
    given = spec.baselines.model_dump(mode="json", exclude_unset=True)
    data["baselines"] |= {"training": given.get("training", {}), "rows": given.get("rows", [])}
    return dict(_leaves("", data))


def _leaves(prefix: str, data: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(f"{prefix}{name}.", value)
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            yield from _leaves(f"{prefix}{name}.", value[0])  # as one objective is written
        else:
            yield f"{prefix}{name}", value
