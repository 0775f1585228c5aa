"""The earlier form of a TrialConfig, which finished models of older studies hold.

Its settings were at the top, in the model, and in separate parts for the optimizer, the schedule,
the augmentation and the attack.
"""

from __future__ import annotations

from typing import Any

__all__ = ["gather_settings"]

_AT_THE_TOP = ("epochs", "batch_size", "label_smoothing", "patience", "precision")
_PARTS = ("optimizer", "schedule", "augment", "adversarial")

_RENAMED = {
    ("optimizer", "name"): "optimizer",
    ("schedule", "name"): "schedule",
    ("augment", "operations"): "augment",
    ("augment", "degrees"): "rotate_degrees",
    ("augment", "brightness"): "jitter_brightness",
    ("augment", "contrast"): "jitter_contrast",
    ("augment", "saturation"): "jitter_saturation",
    ("augment", "hue"): "jitter_hue",
    ("adversarial", "name"): "adversarial",
    ("adversarial", "steps"): "attack_steps",
}


def gather_settings(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a TrialConfig in its current form. Raises ``ValueError``."""
    try:
        rest = {**data, "model": dict(data["model"])}
        settings = {name: rest.pop(name) for name in _AT_THE_TOP}
        settings |= {name: rest["model"].pop(name) for name in ("init", "dropout")}
        for part in _PARTS:
            for name, value in (rest.pop(part) or {}).items():
                settings[_RENAMED.get((part, name), name)] = value
        settings["augment"] = "+".join(settings["augment"]) or "none"
        if (robustness := rest["robustness"]) is not None:
            rest["robustness"] = {**robustness, "attack": robustness["name"]}
            del rest["robustness"]["name"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"is not a trial's configuration ({error!r})") from error
    return {**rest, "settings": settings}
