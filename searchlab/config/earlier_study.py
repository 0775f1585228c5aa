"""The earlier form of the studies that searchlab records: defaults that have changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["name_earlier_defaults"]

# They were the same for every optimizer.
_EARLIER_DEFAULTS = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 0.0}


def name_earlier_defaults(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded study's data with the defaults that it began with, named.

    Only for what searchlab recorded itself: it now names each of these settings, if only as null,
    so one that is missing has the earlier default.
    """
    training = recorded.get("training") or {}
    if not isinstance(training, dict):  # which the checks refuse
        return dict(recorded)
    return {**recorded, "training": {**_EARLIER_DEFAULTS, **training}}
