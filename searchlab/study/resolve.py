"""From a point to what a worker trains: the model, the optimizer, and the settings around them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings, split_augment
from searchlab.config.trial import (
    AttackConfig,
    AugmentConfig,
    ModelConfig,
    OptimizerConfig,
    Scalar,
    ScheduleConfig,
    Scheme,
)
from searchlab.study.space.points import Point

__all__ = ["Resolved", "label_of", "resolve"]

_LAYER = re.compile(r"layer(\d+)\.(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A point made whole by the study's training settings."""

    settings: TrainingSettings
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    augment: AugmentConfig
    adversarial: AttackConfig | None


def resolve(point: Point, training: TrainingSettings) -> Resolved:
    """Merge a point into the settings: what the space does not search, ``training`` says."""
    shared = {name: point[name] for name in SHARED_PARAMETERS if name in point}
    # The space checked every value by these same rules, so this cannot fail on a point of it.
    settings = TrainingSettings.model_validate({**training.model_dump(), **shared})
    family = str(point["family"])
    own = _own_parameters(point, family)
    scheme: Scheme = own.pop("scheme", "DT")  # type: ignore[assignment]
    return Resolved(
        settings=settings,
        model=ModelConfig(
            family=family,
            parameters=own,
            scheme=scheme,
            init=settings.init,
            dropout=settings.dropout,
        ),
        optimizer=OptimizerConfig(
            name=settings.optimizer,
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
            clip_norm=settings.clip_norm,
        ),
        schedule=ScheduleConfig(
            name=settings.schedule,
            warmup_epochs=settings.warmup_epochs,
            step_epochs=settings.step_epochs,
            step_factor=settings.step_factor,
        ),
        augment=AugmentConfig(
            operations=split_augment(settings.augment),
            degrees=settings.rotate_degrees,
            brightness=settings.jitter_brightness,
            contrast=settings.jitter_contrast,
            saturation=settings.jitter_saturation,
            hue=settings.jitter_hue,
            crop_padding=settings.crop_padding,
            cutout_size=settings.cutout_size,
        ),
        adversarial=None
        if settings.adversarial == "none"
        else AttackConfig(
            name=settings.adversarial, epsilon=settings.epsilon, steps=settings.attack_steps
        ),
    )


def label_of(model: ModelConfig, *, with_scheme: bool) -> str:
    """Name a configuration for people: ``a2/DT``, or the family alone."""
    return f"{model.family}/{model.scheme}" if with_scheme else model.family


def _own_parameters(point: Point, family: str) -> dict[str, Scalar | tuple[Scalar, ...]]:
    """Strip the family's name; gather ``layer0.width``, ``layer1.width`` into one tuple."""
    own: dict[str, Scalar | tuple[Scalar, ...]] = {}
    layers: dict[str, dict[int, Scalar]] = {}
    for name, value in point.items():
        place, dot, rest = name.partition(".")
        if not dot or place != family:
            continue
        match = _LAYER.fullmatch(rest)
        if match:
            layers.setdefault(match[2], {})[int(match[1])] = value
        else:
            own[rest] = value
    for name, by_layer in layers.items():
        own[name] = tuple(by_layer[index] for index in sorted(by_layer))
    return own
