"""Paths in a study or a space file, made absolute when it is read: then they mean one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from searchlab.config.documents import Document
from searchlab.errors import Location

__all__ = ["WEIGHT_SUFFIXES", "anchor_space", "anchor_study", "is_set_by_option"]

WEIGHT_SUFFIXES = (".pth", ".pt", ".safetensors")
"""How a file of trained weights ends; a parameter's value that ends so is such a file."""

Visit = Callable[[Any, Location], Any]
"""Given a leaf and its place, returns what is to stand there."""

_PATHS: tuple[Location, ...] = (("dataset", "root"), ("baselines", "weights"))
# Where the value of a family's parameter may stand.
_PARAMETERS_OF_STUDY: tuple[Location, ...] = (
    ("space", "parameters"),
    ("search", "reference"),
    ("baselines", "rows"),
)
_PARAMETERS_OF_SPACE: tuple[Location, ...] = (("parameters",),)


def anchor_space(document: Document, folder: Path) -> Document:
    """Look the files of weights that a space names up in ``folder``, the space file's."""

    def visit(value: Any, place: Location) -> Any:
        return _resolve(value, folder) if _is_weights(value, place, _PARAMETERS_OF_SPACE) else value

    return replace(document, data=_map_leaves(document.data, (), visit))


def anchor_study(document: Document, folder: Path, option_folder: Path) -> Document:
    """Look paths up in ``folder``, the study file's, or from where ``--set`` gave them.

    A space read from a file of its own must have been anchored before.
    """

    def visit(value: Any, place: Location) -> Any:
        is_path = place in _PATHS and isinstance(value, str)
        if not is_path and not _is_weights(value, place, _PARAMETERS_OF_STUDY):
            return value
        return _resolve(value, option_folder if is_set_by_option(document, place) else folder)

    return replace(document, data=_map_leaves(document.data, (), visit))


def is_set_by_option(document: Document, place: Location) -> bool:
    """Tell whether ``--set`` put a value there or above; a preset's belongs to the file."""
    above = [document.overrides.get(place[:end], "") for end in range(1, len(place) + 1)]
    return any(text.startswith("--set ") for text in above)


def _is_weights(value: Any, place: Location, parameters: tuple[Location, ...]) -> bool:
    below = any(place[: len(above)] == above for above in parameters)
    return below and isinstance(value, str) and value.endswith(WEIGHT_SUFFIXES)


def _resolve(given: str, folder: Path) -> str:
    # Resolved, for a folder may have to be made yet, and below it .. leads nowhere; and for a
    # reference point and the space it lies in must name one file alike.
    return str((folder / Path(given).expanduser()).resolve())


def _map_leaves(value: Any, place: Location, visit: Visit) -> Any:
    if isinstance(value, dict):
        return {key: _map_leaves(item, (*place, key), visit) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_leaves(item, (*place, index), visit) for index, item in enumerate(value)]
    return visit(value, place)
