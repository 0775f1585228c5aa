"""The earlier form of the studies that searchlab records: defaults that have changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["name_earlier_defaults"]

_EARLIER_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    # The same for every optimizer.
    "training": {"lr": 1e-3, "momentum": 0.9, "weight_decay": 0.0},
    "confirm": {"repeats": 0},
    "search": {"sampler": "tpe"},
}


def name_earlier_defaults(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded study's data with the defaults that it began with, named.

    A trial that requested several GPUs and used one requests one.

    Only for what searchlab recorded itself: it now names each of these settings, if only as null,
    so one that is missing has the earlier default.
    """
    named = dict(recorded)
    for section, defaults in _EARLIER_DEFAULTS.items():
        given = recorded.get(section) or {}
        if isinstance(given, dict):  # the checks refuse anything else
            named[section] = {**defaults, **given}
    resources = recorded.get("resources")
    if isinstance(resources, dict) and _is_above_one(resources.get("gpus")):
        named["resources"] = {**resources, "gpus": 1}
    return named


def _is_above_one(gpus: object) -> bool:
    """Return whether a trial requested GPUs that it did not use, which is refused now."""
    return isinstance(gpus, (int, float)) and gpus > 1
