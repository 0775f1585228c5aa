"""StudySpec: everything one study is, as in ``studies/*.yaml``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    RootModel,
    Tag,
    field_validator,
    model_validator,
)

from searchlab.config.settings import TrainingSettings
from searchlab.config.space import SpaceSpec
from searchlab.config.trial import SCHEMES, Normalization, ObjectiveConfig, Scheme
from searchlab.config.validation import Number, Slug, Spec, Value, is_finite, located_error

__all__ = [
    "PLANNED_SAMPLERS",
    "BaselineSpec",
    "CallableRef",
    "ConfirmSpec",
    "DatasetSpec",
    "ObjectiveSpec",
    "ResourceSpec",
    "SearchSpec",
    "StudySpec",
    "ValidationSpec",
]

PLANNED_SAMPLERS = ("grid", "one_at_a_time")
"""Samplers whose trials are a list known beforehand."""


class DatasetSpec(Spec):
    """Which images, and how pixels are scaled.

    ``normalize: standard`` scales each channel to mean 0 and deviation 1 over the images that a
    model is trained on; ``unit`` leaves pixels in [0, 1], as report 000 did.
    """

    name: str = Field(description="a registered dataset; see `searchlab data list`")
    normalize: Normalization = Field("standard", description="standard or unit")


class ObjectiveSpec(Spec):
    """What the search optimises, always measured on validation folds."""

    metric: Literal["accuracy", "loss"] = "accuracy"
    direction: Literal["maximize", "minimize"] | None = Field(
        None, description="follows from the metric"
    )
    at: Literal["best", "last"] = Field("best", description="value at the best epoch or the last")

    @model_validator(mode="after")
    def _check_direction(self) -> ObjectiveSpec:
        if self.direction is not None and self.direction != self._natural_direction:
            raise located_error(
                f"must be {self._natural_direction} for {self.metric}, got {self.direction!r}",
                "direction",
            )
        return self

    @property
    def _natural_direction(self) -> Literal["maximize", "minimize"]:
        return "maximize" if self.metric == "accuracy" else "minimize"

    def to_config(self) -> ObjectiveConfig:
        """Return the part of this that a worker needs."""
        return ObjectiveConfig(metric=self.metric, direction=self._natural_direction, at=self.at)


class SearchSpec(Spec):
    """How the space is searched, and for how long."""

    sampler: Literal["tpe", "random", "grid", "one_at_a_time"] = "tpe"
    pruner: Literal["none", "median", "successive_halving", "hyperband"] = "none"
    trials: int | None = Field(
        None, ge=1, description="search trials; null: all that a grid or one_at_a_time has"
    )
    timeout: Number | None = Field(
        None, description="seconds after which no search trial is begun; running ones end"
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="every random draw derives from it")
    reference: dict[str, Value] = Field(
        default_factory=dict,
        description="one_at_a_time: the point to vary from, by parameter name (cnn.depth: 2); "
        "the rest is each list's first value and each range's middle",
    )
    points: int = Field(5, ge=2, description="grid, one_at_a_time: values drawn from a range")

    @model_validator(mode="after")
    def _check(self) -> SearchSpec:
        if self.trials is None and self.sampler not in PLANNED_SAMPLERS:
            raise located_error(f"is required with sampler {self.sampler}. Add it", "trials")
        if self.timeout is not None and self.timeout <= 0:
            raise located_error(f"must be > 0 seconds, got {self.timeout!r}", "timeout")
        if self.reference and self.sampler != "one_at_a_time":
            raise located_error(
                f"is used by sampler one_at_a_time only, not {self.sampler}", "reference"
            )
        return self


class ValidationSpec(Spec):
    """Stratified k-fold cross-validation; search trials train on the first few folds only."""

    folds: int = Field(5, ge=2, le=100, description="folds of the training set")
    search_folds: int = Field(1, ge=1, description="folds that a search trial trains on")

    @model_validator(mode="after")
    def _check(self) -> ValidationSpec:
        if self.search_folds > self.folds:
            raise located_error(
                f"must be <= folds ({self.folds}), got {self.search_folds}", "search_folds"
            )
        return self


def _to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class BaselineSpec(Spec):
    """The fixed rivals: every architecture with every scheme, trained by hand-picked settings."""

    architectures: Annotated[tuple[str, ...], BeforeValidator(_to_tuple)] = ("a1", "a2")
    schemes: Annotated[tuple[Scheme, ...], BeforeValidator(_to_tuple)] = Field(
        SCHEMES, json_schema_extra={"minItems": 1}
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="what differs from the study's training"
    )

    @field_validator("schemes")
    @classmethod
    def _check_not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must name at least one scheme. Empty architectures for no baselines")
        return value

    @field_validator("architectures", "schemes")
    @classmethod
    def _check_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for index, item in enumerate(value):
            if item in value[:index]:
                raise ValueError(f"must name each once, got {item!r} twice")
        return value


class ConfirmSpec(Spec):
    """The best ``top`` search trials are trained again on every fold and meet the test set."""

    top: int = Field(3, ge=0, description="finalists; 0 skips the confirm stage")


def _check_auto(value: object) -> object:
    is_bool = isinstance(value, bool)  # which Python counts among the ints
    if value == "auto" or (isinstance(value, (int, float)) and not is_bool and is_finite(value)):
        return value
    raise ValueError(f"must be auto or a finite number, got {value!r}")


AutoNumber = Annotated[Literal["auto"] | int | float, BeforeValidator(_check_auto)]


class ResourceSpec(Spec):
    """What each worker gets and how many there are; ``auto`` fills the machine."""

    cpus: Number = Field(1, description="CPU cores per worker")
    gpus: AutoNumber = Field("auto", description="GPUs per worker, may be a fraction")
    workers: AutoNumber = Field("auto", description="trials that run at once")

    @model_validator(mode="after")
    def _check(self) -> ResourceSpec:
        if self.cpus <= 0:
            raise located_error(f"must be > 0, got {self.cpus!r}", "cpus")
        if self.gpus != "auto" and self.gpus < 0:
            raise located_error(f"must be >= 0, got {self.gpus!r}", "gpus")
        if self.workers != "auto" and (self.workers < 1 or self.workers != int(self.workers)):
            raise located_error(f"must be a whole number >= 1, got {self.workers!r}", "workers")
        return self


_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class CallableRef(RootModel[str]):
    """``module:function``, a Python function that stands in for a space file."""

    model_config = {"frozen": True}

    @field_validator("root", mode="before")
    @classmethod
    def _check(cls, value: object) -> object:
        if not isinstance(value, str) or not _CALLABLE.fullmatch(value):
            raise ValueError(
                "must be a space file (*.yaml), an inline space {parameters: ...} or a Python "
                f"function as module:function, got {value!r}"
            )
        return value


def _space_kind(value: Any) -> str:
    return "@space" if isinstance(value, (dict, SpaceSpec)) else "@callable"


class StudySpec(Spec):
    """One study: one YAML file, one Optuna study, one run folder."""

    name: Slug = Field(description="the run lands in runs/<name>/")
    dataset: DatasetSpec
    space: Annotated[
        Annotated[SpaceSpec, Tag("@space")] | Annotated[CallableRef, Tag("@callable")],
        Discriminator(_space_kind),
    ] = Field(description="a path, an inline space, or module:function")
    objective: ObjectiveSpec = Field(default_factory=ObjectiveSpec)
    search: SearchSpec
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    validation: ValidationSpec = Field(default_factory=ValidationSpec)
    baselines: BaselineSpec = Field(default_factory=BaselineSpec)
    confirm: ConfirmSpec = Field(default_factory=ConfirmSpec)
    resources: ResourceSpec = Field(default_factory=ResourceSpec)

    @model_validator(mode="before")
    @classmethod
    def _accept_dataset_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("dataset"), str):
            return {**data, "dataset": {"name": data["dataset"]}}
        return data

    @model_validator(mode="after")
    def _check_sampler_has_a_space(self) -> StudySpec:
        if isinstance(self.space, CallableRef) and self.search.sampler in PLANNED_SAMPLERS:
            raise located_error(
                f"{self.search.sampler} must know the whole space beforehand, which a Python "
                "function does not tell. Use tpe or random, or a space file",
                "search",
                "sampler",
            )
        return self

    def baseline_training(self) -> TrainingSettings:
        """Return the settings that baselines are trained with: the study's, then their own."""
        own = self.baselines.training
        changes = {name: getattr(own, name) for name in own.model_fields_set}
        return self.training.model_copy(update=changes)

    def to_data(self) -> dict[str, Any]:
        """Return plain data that reads back as an equal study, its space inline."""
        data: dict[str, Any] = self.model_dump(mode="json", exclude_unset=True)
        if isinstance(self.space, SpaceSpec):
            data["space"] = self.space.to_data()
        return data
