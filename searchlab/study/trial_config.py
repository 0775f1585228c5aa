"""From a trial's point to the one thing that is sent to a worker."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from searchlab.config.baselines import BaselineRow
from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings
from searchlab.config.study import StudySpec
from searchlab.config.trial import (
    FoldPlan,
    ModelConfig,
    Role,
    Scalar,
    Scheme,
    TrialConfig,
)
from searchlab.errors import InputError
from searchlab.records import trial_record as attr
from searchlab.search.space.points import Point
from searchlab.search.space.study_space import StudySpace
from searchlab.study.plan import baseline_key, is_baseline_key

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = [
    "label_of",
    "make_config",
    "model_at",
    "plan_folds",
    "recorded_config",
    "settings_at",
]

_LAYER = re.compile(r"layer(\d+)\.(.+)")


def make_config(
    spec: StudySpec, point: Point, *, number: int, known: Mapping[str, Any]
) -> TrialConfig:
    """Return what a worker trains for ``point``.

    The trial's ``known`` user attributes tell what it is to the study: which baseline, or which
    repeat of which trial. Raises InputError for a baseline that the study does not have.
    """
    role: Role = known.get(attr.ROLE, "search")
    row = _find_row(spec, known)
    training = spec.training if row is None else spec.baseline_training(row)
    return TrialConfig(
        number=number,
        seed=spec.search.seed,
        role=role,
        dataset=spec.dataset.name,
        normalize=spec.dataset.normalize,
        model=model_at(point),
        settings=settings_at(point, training),
        robustness=spec.robustness,
        measures=tuple(one.metric for one in spec.objective if one.entry.on_request),
        initial_weights=spec.baselines.weights if row in spec.baseline_grid else None,
        objective=spec.primary.to_config(),
        folds=plan_folds(spec, role, row),
        repeat=known.get(attr.REPEAT, 0),
        last_epoch=known.get(attr.LAST_EPOCH),
    )


def recorded_config(spec: StudySpec, space: StudySpace, trial: FrozenTrial) -> TrialConfig:
    """Return what a worker trained for a trial of the storage.

    Raises InputError if the trial is not one of this space.
    """
    try:
        point = space.suggest(copy.deepcopy(trial))  # suggesting adds to it
        return make_config(spec, point, number=trial.number, known=trial.user_attrs)
    except ValueError as error:
        raise InputError(
            f"is not a trial of the study's space: {error}", where=f"trial {trial.number}"
        ) from error


def settings_at(point: Point, training: TrainingSettings) -> TrainingSettings:
    """Return ``training`` with the settings that the point chooses."""
    chosen = {name: point[name] for name in SHARED_PARAMETERS if name in point}
    # The space checked every value by these same rules, so this cannot fail on a point of it.
    return training.changed(chosen)


def model_at(point: Point) -> ModelConfig:
    """Return the model that the point chooses."""
    family = str(point["family"])
    own = _own_parameters(point, family)
    scheme: Scheme = own.pop("scheme", "DT")  # type: ignore[assignment]
    return ModelConfig(family=family, parameters=own, scheme=scheme)


def label_of(model: ModelConfig, *, with_scheme: bool) -> str:
    """Name a configuration for people: ``a2/DT``, or the family alone.

    A family of many networks, such as torchvision, says little without the network's own name.
    """
    network = model.parameters.get("model")
    name = f"{model.family} {network}" if isinstance(network, str) else model.family
    return f"{name}/{model.scheme}" if with_scheme else name


def plan_folds(spec: StudySpec, role: Role, row: BaselineRow | None = None) -> FoldPlan:
    """Return the members of a role's trials.

    Search trials train on the search folds alone, confirmations on all training images alone.
    """
    validation = spec.validation
    asked = spec.baselines.folds if row is None or row.folds is None else row.folds
    has_all = role == "finalist" or (role == "baseline" and asked == "all")
    num_trained = validation.folds if has_all else validation.search_folds
    return FoldPlan(
        num_folds=validation.folds,
        folds=() if role == "confirmation" else tuple(range(num_trained)),
        search_folds=validation.search_folds,
        test=role != "search",
    )


def _find_row(spec: StudySpec, known: Mapping[str, Any]) -> BaselineRow | None:
    """Return the baseline that a trial trains, for the first time or again; None for others."""
    key = known.get(attr.CONFIRMED_PLAN, known.get(attr.PLAN))
    row = next((row for row in spec.baseline_rows if baseline_key(row) == key), None)
    if row is None and (known.get(attr.ROLE) == "baseline" or is_baseline_key(key)):
        raise InputError("is not in the study any more", where=str(key))
    return row


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
