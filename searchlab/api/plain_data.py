"""What a caller writes in Python, as the plain data that a YAML file holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from searchlab.errors import InputError, Location

__all__ = ["to_overrides", "to_plain"]


def to_plain(value: Any, place: Location = ()) -> Any:
    """Return mappings as dicts, sequences as lists, paths as text, and NumPy's scalars as Python's.

    Raises InputError, with the place, for anything else that YAML cannot hold.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value)  # numpy.float64 is one, but YAML does not know it
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InputError("must have texts as keys", where=place, found=key)
        return {key: to_plain(item, (*place, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item, (*place, index)) for index, item in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    raise InputError(
        "must be a number, a text, a list or a dict of them",
        where=place,
        found=value,
    )


def to_overrides(sections: Mapping[str, Any]) -> list[str]:
    """Return what ``--set`` takes: an entry of a section alone, anything else as a whole.

    ``{"search": {"trials": 10}, "name": "short"}`` is ``search.trials=10`` and ``name="short"``.
    """
    return [f"{place}={json.dumps(value, ensure_ascii=False)}" for place, value in _list(sections)]


def _list(sections: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, section in sections.items():
        value = to_plain(section, (name,))
        if isinstance(value, dict):
            for key, item in value.items():
                yield f"{name}.{key}", item
        else:
            yield name, value
