"""Making the paths in a study or space file absolute when it is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from searchlab.config.documents import Document
from searchlab.config.variables import expand_variables
from searchlab.errors import Location

__all__ = [
    "PARAMETERS_OF_STUDY",
    "RUN_PREFIX",
    "WEIGHT_SUFFIXES",
    "absolute_path",
    "anchor_space",
    "anchor_study",
    "expand_user",
    "is_set_by_option",
    "map_leaves",
]

WEIGHT_SUFFIXES = (".pth", ".pt", ".safetensors")
"""Endings of weights files; a parameter's value with such an ending is a path."""

RUN_PREFIX = "run:"
"""How a parameter's value begins that names the weights of an earlier run."""

Visit = Callable[[Any, Location], Any]
"""Takes a leaf and its location, returns the value to put there."""

_PATHS: tuple[Location, ...] = (("dataset", "root"), ("baselines", "weights"))
PARAMETERS_OF_STUDY: tuple[Location, ...] = (
    ("space", "parameters"),
    ("search", "reference"),
    ("baselines", "rows"),
)
"""Where a family's parameter can have a value."""

_PARAMETERS_OF_SPACE: tuple[Location, ...] = (("parameters",),)


def anchor_space(document: Document, folder: Path, environment: Mapping[str, str]) -> Document:
    """Make the paths of weights files in a space absolute, starting at the space file's folder."""

    def visit(value: Any, place: Location) -> Any:
        if not _is_weights(value, place, _PARAMETERS_OF_SPACE):
            return value
        given = expand_variables(value, environment, where=document.where(place))
        return absolute_path(given, document.folder_of(place, folder))

    return replace(document, data=map_leaves(document.data, (), visit))


def anchor_study(
    document: Document,
    folder: Path,
    option_folder: Path,
    environment: Mapping[str, str] | None,
) -> Document:
    """Make paths absolute, starting at the study file's folder, or ``option_folder`` for ``--set``.

    A space from its own file must be anchored first. Variables are replaced by their values in
    ``environment``; None leaves them, as in the paths of a record.
    """

    def visit(value: Any, place: Location) -> Any:
        is_path = place in _PATHS and isinstance(value, str)
        if not is_path and not _is_weights(value, place, PARAMETERS_OF_STUDY):
            return value
        start = document.folder_of(place, folder)
        if environment is not None:
            value = expand_variables(value, environment, where=document.where(place))
        return absolute_path(value, option_folder if is_set_by_option(document, place) else start)

    return replace(document, data=map_leaves(document.data, (), visit))


def is_set_by_option(document: Document, place: Location) -> bool:
    """Return whether ``--set`` set a value there or above; a preset's belongs to the file."""
    above = [document.overrides.get(place[:end], "") for end in range(1, len(place) + 1)]
    return any(text.startswith("--set ") for text in above)


def expand_user(path: Path) -> Path:
    """Return a path with the home folder for its ``~``; unchanged if there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def absolute_path(given: str, folder: Path) -> str:
    """Return a path that starts at ``folder``, absolute and without links or ``..``.

    It may lead nowhere, even in a loop of links: whoever opens it says so.
    """
    # Without .., which fails below a folder that does not exist yet, and without links, because a
    # reference point and its space must name a file in the same way. Path.resolve raises
    # RuntimeError for a loop.
    return os.path.realpath(folder / expand_user(Path(given)))


def _is_weights(value: Any, place: Location, parameters: tuple[Location, ...]) -> bool:
    below = any(place[: len(above)] == above for above in parameters)
    return below and isinstance(value, str) and value.endswith(WEIGHT_SUFFIXES)


def map_leaves(value: Any, place: Location, visit: Visit) -> Any:
    """Return plain data with what ``visit`` returns for each value that is no dict or list."""
    if isinstance(value, dict):
        return {key: map_leaves(item, (*place, key), visit) for key, item in value.items()}
    if isinstance(value, list):
        return [map_leaves(item, (*place, index), visit) for index, item in enumerate(value)]
    return visit(value, place)
