"""TrialConfig: the only thing sent to a worker. It is frozen, small, and exact through JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, get_args

from pydantic import TypeAdapter

from searchlab.config.attacks import AttackSpec
from searchlab.config.earlier_trial import gather_settings
from searchlab.config.metrics import DEFAULT_METRIC, Direction
from searchlab.config.settings import TrainingSettings
from searchlab.config.trained_folds import TrainedFolds

__all__ = [
    "ROLES",
    "SCHEMES",
    "FoldPlan",
    "ModelConfig",
    "Normalization",
    "ObjectiveConfig",
    "Role",
    "Scalar",
    "Scheme",
    "TrialConfig",
]

Scalar = bool | int | float | str
Scheme = Literal["HF", "HT", "DT"]
Role = Literal["baseline", "search", "finalist", "confirmation"]
Normalization = Literal["standard", "unit", "half", "imagenet"]

ROLES: tuple[Role, ...] = get_args(Role)
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """An architecture: a family, the family's own parameters, and the scheme.

    ``parameters`` holds only the chosen values; the family supplies defaults for the rest. A
    parameter with one value per layer is a tuple.
    """

    family: str
    parameters: dict[str, Scalar | tuple[Scalar, ...]] = field(default_factory=dict)
    scheme: Scheme = "DT"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """The value of a trial: a metric of its folds, at its best epoch or at the last."""

    metric: str = DEFAULT_METRIC
    direction: Direction = "maximize"
    at: Literal["best", "last"] = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldPlan:
    """The members of a trial's cohort.

    ``folds`` are the validation folds trained here, out of ``num_folds``; the first
    ``search_folds`` of them give the trial's value. ``test`` adds one more member, trained on the
    whole training set, that meets the test set once, at the end (docs/design.md, decision 6). A
    confirmation has that member alone.
    """

    num_folds: int
    folds: tuple[int, ...]
    search_folds: int
    test: bool = False

    @property
    def num_members(self) -> int:
        """The number of models that the trial trains in lockstep."""
        return len(self.folds) + int(self.test)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """One complete configuration: everything a worker needs except the images.

    ``seed`` is the study's. The keys of weights and data order do not contain ``number``, so two
    trials of one study with the same configuration are equal to the bit. ``objective`` is the
    study's first, which decides the best epoch. ``robustness`` is the attack under which validation
    and test images are also measured. ``measures`` are the metrics to measure on request.
    ``initial_weights`` is a folder to load weights from instead of drawing them. ``repeat`` above 0
    asks for draws of weights, order and augmentation that no other trial of the configuration has.
    ``last_epoch`` ends training there; its weights are kept. It is set where no fold decides.
    ``trained`` has the search folds of a finalist, which its search trial has trained.
    """

    number: int
    seed: int
    role: Role = "search"
    dataset: str
    normalize: Normalization = "standard"
    model: ModelConfig
    settings: TrainingSettings
    robustness: AttackSpec | None = None
    measures: tuple[str, ...] = ()
    initial_weights: str | None = None
    objective: ObjectiveConfig
    folds: FoldPlan
    repeat: int = 0
    last_epoch: int | None = None
    trained: TrainedFolds | None = None

    @property
    def folds_to_train(self) -> tuple[int, ...]:
        """The folds that no other trial has trained for this one."""
        known = frozenset[int]() if self.trained is None else self.trained.folds
        return tuple(fold for fold in self.folds.folds if fold not in known)

    @property
    def num_models(self) -> int:
        """The number of models that the trial trains itself."""
        return len(self.folds_to_train) + int(self.folds.test)

    def to_json(self) -> str:
        """Serialise; ``from_json`` returns an equal object."""
        return _adapter().dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> TrialConfig:
        """Rebuild what ``to_json`` wrote, now or in the earlier form.

        Raises ``ValueError``, such as pydantic's ``ValidationError``, for anything else.
        """
        try:
            data = json.loads(text)
        except RecursionError:
            raise ValueError("is nested too deeply") from None
        if isinstance(data, dict) and "settings" not in data and "optimizer" in data:
            data = gather_settings(data)
        return _adapter().validate_python(data)


@cache
def _adapter() -> TypeAdapter[TrialConfig]:
    return TypeAdapter(TrialConfig)
