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

from searchlab.config.baselines import BaselineRow, BaselineSpec, ComparedPair, RowName
from searchlab.config.objectives import Objectives, ObjectiveSpec, check_objectives
from searchlab.config.published import PublishedSpec
from searchlab.config.references import check_references
from searchlab.config.robustness import RobustnessSpec
from searchlab.config.samplers import PLANNED_SAMPLERS, WHOLE_SPACE_SAMPLERS, SamplerName
from searchlab.config.settings import TrainingSettings, check_patience
from searchlab.config.space import SpaceSpec
from searchlab.config.trial import Normalization
from searchlab.config.validation import (
    Number,
    Slug,
    Spec,
    Value,
    is_finite,
    located_error,
    to_tuple,
)

__all__ = [
    "PLANNED_SAMPLERS",
    "CallableRef",
    "ConfirmSpec",
    "DatasetSpec",
    "ResourceSpec",
    "SearchSpec",
    "StudySpec",
    "ValidationSpec",
]


class DatasetSpec(Spec):
    """Which images, and how pixels are scaled.

    ``normalize: standard`` scales each channel to mean 0 and deviation 1 over the images that a
    model is trained on; ``unit`` leaves pixels in [0, 1], as report 000 did; ``half`` maps them to
    [-1, 1], as report 003 did; ``imagenet`` uses ImageNet's means, for transferred weights.
    """

    name: str = Field(description="a registered dataset; see `searchlab data list`")
    normalize: Normalization = Field("standard", description="standard, unit, half or imagenet")
    root: str | None = Field(None, description="folder: where its images lie")
    size: int | None = Field(
        None, ge=8, le=1024, description="side of the images, where the dataset has no size"
    )
    skip_broken: bool = Field(False, description="skip and count image files that are broken")
    limit: int | None = Field(
        None, ge=1, description="train on so many of the training images, drawn by class"
    )


class SearchSpec(Spec):
    """How the space is searched, and for how long."""

    sampler: SamplerName = Field("tpe", description="who chooses the next trial")
    pruner: Literal["none", "median", "successive_halving", "hyperband"] = "none"
    trials: int | None = Field(
        None,
        ge=0,
        description="search trials; 0: baselines only; null: all that a grid or one_at_a_time has",
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
    max_failures_in_row: int | None = Field(
        5, ge=1, description="failures in a row for one cause that stop the study; null: go on"
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
    gpus: AutoNumber = Field("auto", description="GPUs per worker, below 1 may be a fraction")
    workers: AutoNumber = Field("auto", description="trials that run at once")
    checkpoint_seconds: Number = Field(
        30, description="how often a trial saves its state: the most that a crash loses"
    )

    @model_validator(mode="after")
    def _check(self) -> ResourceSpec:
        if self.cpus <= 0:
            raise located_error(f"must be > 0, got {self.cpus!r}", "cpus")
        if self.gpus != "auto" and self.gpus < 0:
            raise located_error(f"must be >= 0, got {self.gpus!r}", "gpus")
        if self.gpus != "auto" and self.gpus > 1 and self.gpus != int(self.gpus):  # Ray's own rule
            raise located_error(
                f"must be a fraction of a GPU or a whole number of them, got {self.gpus!r}",
                "gpus",
            )
        if self.checkpoint_seconds < 0:
            raise located_error(
                f"must be >= 0 seconds, got {self.checkpoint_seconds!r}", "checkpoint_seconds"
            )
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
    objective: Objectives = Field(
        default_factory=lambda: (ObjectiveSpec(),),
        description="what the search optimises: one, or a list",
    )
    robustness: RobustnessSpec | None = Field(
        None, description="attack every trial's validation images too"
    )
    search: SearchSpec
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    validation: ValidationSpec = Field(default_factory=ValidationSpec)
    baselines: BaselineSpec = Field(default_factory=BaselineSpec)
    confirm: ConfirmSpec = Field(default_factory=ConfirmSpec)
    resources: ResourceSpec = Field(default_factory=ResourceSpec)
    ensembles: dict[RowName, Annotated[tuple[str, ...], BeforeValidator(to_tuple)]] = Field(
        default_factory=dict, description="baselines whose predictions are averaged at the end"
    )
    correlations: dict[str, Literal["features", "logits"]] = Field(
        default_factory=dict,
        description="baselines whose neurons are correlated at the end, and which neurons: the "
        "logits, or the features under them",
    )
    comparisons: dict[str, Annotated[tuple[ComparedPair, ...], BeforeValidator(to_tuple)]] = Field(
        default_factory=dict,
        description="pairs of baselines to be tested against each other, by question",
    )
    published: PublishedSpec | None = Field(
        None, description="figures of a report, printed beside the study's own"
    )
    plugins: Annotated[tuple[str, ...], BeforeValidator(to_tuple)] = Field(
        (), description="Python files (beside the study) or modules that register families, data"
    )
    presets: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="named overrides, field by field: `study run --preset NAME`",
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_dataset_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("dataset"), str):
            return {**data, "dataset": {"name": data["dataset"]}}
        return data

    @model_validator(mode="after")
    def _check_sampler_has_a_space(self) -> StudySpec:
        needs_whole_space = self.search.sampler in (*PLANNED_SAMPLERS, *WHOLE_SPACE_SAMPLERS)
        if isinstance(self.space, CallableRef) and needs_whole_space:
            raise located_error(
                f"{self.search.sampler} must know the whole space beforehand, which a Python "
                "function does not tell. Use tpe or random, or a space file",
                "search",
                "sampler",
            )
        return self

    @model_validator(mode="after")
    def _check_objectives(self) -> StudySpec:
        check_objectives(self.objective, self.search, self.robustness)
        check_patience(self)
        return self

    @model_validator(mode="after")
    def _check_references(self) -> StudySpec:
        check_references(self)
        return self

    @property
    def primary(self) -> ObjectiveSpec:
        """The first objective, by which epochs, finalists and the verdict go."""
        return self.objective[0]

    @property
    def baseline_rows(self) -> tuple[BaselineRow, ...]:
        """Every baseline that runs: the grid of architectures and schemes, then the rows."""
        return (*self.baseline_grid, *self._asked_for(self.baselines.rows))

    @property
    def baseline_grid(self) -> tuple[BaselineRow, ...]:
        """The part of the grid that runs."""
        return self._asked_for(self.baselines.grid)

    def _asked_for(self, rows: tuple[BaselineRow, ...]) -> tuple[BaselineRow, ...]:
        only = self.baselines.only
        return rows if only is None else tuple(row for row in rows if row.name in only)

    def baseline_training(self, row: BaselineRow) -> TrainingSettings:
        """Return the settings of a baseline: the study's, then all baselines', then its own."""
        changes = {
            name: getattr(settings, name)
            for settings in (self.baselines.training, row.training)
            for name in settings.model_fields_set
        }
        return self.training.model_copy(update=changes)

    def to_data(self) -> dict[str, Any]:
        """Return plain data that reads back as an equal study, its space inline."""
        data: dict[str, Any] = self.model_dump(mode="json", exclude_unset=True)
        if isinstance(self.space, SpaceSpec):
            data["space"] = self.space.to_data()
        data.pop("presets", None)  # what was chosen of them is in the fields by now
        return data
