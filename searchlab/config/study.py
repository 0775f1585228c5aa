"""StudySpec: the complete description of a study, as in ``studies/*.yaml``."""

from __future__ import annotations

import re
from itertools import chain
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

from searchlab.config.attacks import AttackSpec
from searchlab.config.baselines import BaselineRow, BaselineSpec, ComparedPair, RowName
from searchlab.config.dataset import DatasetSpec
from searchlab.config.diagnostics import ReportSpec
from searchlab.config.nodes import Fixed
from searchlab.config.objectives import Objectives, ObjectiveSpec, check_objectives
from searchlab.config.published import SEARCH, PublishedSpec
from searchlab.config.references import check_ensembles, check_published, check_trial_names
from searchlab.config.resources import ResourceSpec
from searchlab.config.samplers import SAMPLERS
from searchlab.config.search import SearchSpec
from searchlab.config.settings import (
    OPTIMIZER_SETTINGS,
    TrainingSettings,
    refuse_idle_nesterov,
    refuse_patience,
    refuse_twofold_balance,
)
from searchlab.config.space import SpaceSpec
from searchlab.config.validation import Number, Slug, Spec, to_tuple
from searchlab.errors import InputError

__all__ = ["CallableRef", "ConfirmSpec", "StudySpec", "ValidationSpec"]


class ValidationSpec(Spec):
    """k-fold cross-validation; search trials train on only the first few folds.

    Folds are stratified, of whole groups if ``dataset.columns.group`` names them, or each later
    than what its models train on if ``dataset.columns.time`` is named; then the latest is first.
    """

    folds: int = Field(5, ge=2, le=100, description="folds of the training set")
    search_folds: int = Field(1, ge=1, description="folds that a search trial trains on")

    @model_validator(mode="after")
    def _check(self) -> ValidationSpec:
        if self.search_folds > self.folds:
            raise InputError(
                f"must be <= folds ({self.folds})",
                where=("search_folds",),
                found=self.search_folds,
            )
        return self


class ConfirmSpec(Spec):
    """The confirm stage.

    The best ``top`` search trials run on every fold. Then the best of them and the best baseline
    are trained ``repeats`` times on all training images, and the test set decides between the two.
    """

    top: int = Field(3, ge=0, description="finalists; 0 skips the confirm stage")
    repeats: int = Field(
        5,
        ge=0,
        description="models of the best finalist and of the best baseline that decide the verdict "
        "on the test set; 0: folds that the search did not see decide it",
    )
    margin: Number = Field(
        0.5,
        description="a difference that is shown to be smaller counts as none: in points of "
        "accuracy, hundredths of a loss",
    )

    @property
    def margin_as_figure(self) -> float:
        """The margin in a metric's own units: 0.005 if it is half a point of accuracy."""
        return self.margin / 100

    @field_validator("repeats")
    @classmethod
    def _check_repeats(cls, value: int) -> int:
        if value == 1:
            raise InputError(
                "must be 0 or at least 2, because one model does not show how much they vary",
                found=value,
                remedy="Set it to 5",
            )
        return value

    @field_validator("margin")
    @classmethod
    def _check_margin(cls, value: float) -> float:
        if value <= 0:
            raise InputError("must be > 0", found=value)
        return value


_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class CallableRef(RootModel[str]):
    """``module:function``, a Python function used instead of a space file."""

    model_config = {"frozen": True}

    @field_validator("root", mode="before")
    @classmethod
    def _check(cls, value: object) -> object:
        if not isinstance(value, str) or not _CALLABLE.fullmatch(value):
            raise InputError(
                "must be a space file (*.yaml), an inline space {parameters: ...} or a Python "
                "function as module:function",
                found=value,
            )
        return value


def _space_kind(value: Any) -> str:
    return "@space" if isinstance(value, (dict, SpaceSpec)) else "@callable"


class StudySpec(Spec):
    """One study: one YAML file, one Optuna study, one run folder."""

    name: Slug = Field(description="the run folder is runs/<name>/")
    dataset: DatasetSpec
    space: Annotated[
        Annotated[SpaceSpec, Tag("@space")] | Annotated[CallableRef, Tag("@callable")],
        Discriminator(_space_kind),
    ] = Field(description="a space file or module:function; a study file may hold a space itself")
    objective: Objectives = Field(
        default_factory=lambda: (ObjectiveSpec(),),
        description="what the search optimises, one objective or a list",
    )
    robustness: AttackSpec | None = Field(
        None, description="also attack every trial's validation images"
    )
    search: SearchSpec
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    validation: ValidationSpec = Field(default_factory=ValidationSpec)
    baselines: BaselineSpec = Field(default_factory=BaselineSpec)
    confirm: ConfirmSpec = Field(default_factory=ConfirmSpec)
    resources: ResourceSpec = Field(default_factory=ResourceSpec)
    trackers: dict[Slug, dict[str, Any]] = Field(
        default_factory=dict,
        description="what else is told of every trial, with its options: tensorboard, mlflow, "
        "wandb, or one that a plugin registers",
    )
    on_end: str | None = Field(
        None,
        min_length=1,
        description="a shell command that is run whenever `study run` or `study resume` ends, with "
        "the result in its environment (SEARCHLAB_STATUS, SEARCHLAB_ANSWER, SEARCHLAB_VERDICT)",
    )
    ensembles: dict[RowName, Annotated[tuple[str, ...], BeforeValidator(to_tuple)]] = Field(
        default_factory=dict, description="baselines whose predictions are averaged at the end"
    )
    correlations: dict[str, Literal["features", "logits"]] = Field(
        default_factory=dict,
        description="baselines whose neurons are correlated at the end, and which neurons: logits, "
        "or features (the layer before them)",
    )
    comparisons: dict[str, Annotated[tuple[ComparedPair, ...], BeforeValidator(to_tuple)]] = Field(
        default_factory=dict,
        description="pairs of baselines to test against each other, by question",
    )
    report: ReportSpec = Field(default_factory=ReportSpec)
    published: PublishedSpec | None = Field(
        None, description="figures of a report, printed beside the study's own"
    )
    plugins: Annotated[tuple[str, ...], BeforeValidator(to_tuple)] = Field(
        (), description="Python files (beside the study) or modules that register families, data"
    )
    changed: dict[str, Any] = Field(
        default_factory=dict,
        description="written by searchlab: the file's own values of what a preset or --set changed "
        "for all models. A preset that sets it to {} stands for the study itself",
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
        needs_a_file = SAMPLERS[self.search.sampler].needs_a_space_file
        if isinstance(self.space, CallableRef) and needs_a_file:
            raise InputError(
                f"{self.search.sampler} must know the whole space in advance, which a Python "
                "function does not give",
                where=("search", "sampler"),
                remedy="Use tpe or random, or a space file",
            )
        return self

    @model_validator(mode="after")
    def _check_objectives(self) -> StudySpec:
        check_objectives(self.objective, self.search, self.robustness)
        return self

    @model_validator(mode="after")
    def _check_patience(self) -> StudySpec:
        if self.primary.at == "last":
            refuse_patience(self.training, "training")
            refuse_patience(self.baselines.training, "baselines", "training")
            for index, row in enumerate(self.baselines.rows):
                refuse_patience(row.training, "baselines", "rows", index, "training")
        return self

    @model_validator(mode="after")
    def _check_folds_compare(self) -> StudySpec:
        """Refuse tests on folds that train on unequal shares of the images."""
        if self.dataset.columns.time is None:
            return self
        rule = "with dataset.columns.time, whose folds train on unequal numbers of images"
        if self.confirm.top and not self.confirm.repeats:
            raise InputError(
                f"must be at least 2 {rule}, so that they can decide no verdict",
                where=("confirm", "repeats"),
                found=self.confirm.repeats,
                remedy="Set it to 5: then the test set decides",
            )
        if self.confirm.top and not self.primary.entry.is_of_single_answers:
            raise InputError(
                f"cannot be judged {rule}",
                where=("objective", "metric"),
                found=self.primary.metric,
                remedy="Choose another, or set confirm.top to 0",
            )
        if self.comparisons:
            raise InputError(
                f"cannot be made {rule}", where=("comparisons",), remedy="Leave them out"
            )
        return self

    @model_validator(mode="after")
    def _check_balance(self) -> StudySpec:
        refuse_twofold_balance(self.training, "training")
        for row in self.baselines.grid:
            refuse_twofold_balance(self.baseline_training(row), "baselines", "training")
        for index, row in enumerate(self.baselines.rows):
            place = ("baselines", "rows", index, "training")
            refuse_twofold_balance(self.baseline_training(row), *place)
        return self

    @model_validator(mode="after")
    def _check_nesterov(self) -> StudySpec:
        if isinstance(self.space, CallableRef) or "momentum" in self.space.shared:
            return self
        refuse_idle_nesterov(self.training, "training")
        for index, row in enumerate(self.baselines.rows):
            place = ("baselines", "rows", index, "training")
            refuse_idle_nesterov(self.baseline_training(row), *place)
        return self

    @model_validator(mode="after")
    def _check_references(self) -> StudySpec:
        baselines = self.baselines.names
        for name, pairs in self.comparisons.items():
            check_trial_names(chain(*pairs), baselines, "comparisons", name)
        check_ensembles(self.ensembles, baselines)
        check_trial_names(self.correlations, baselines, "correlations")
        if self.published is not None:
            trials = (*baselines, *self.ensembles, SEARCH)
            check_published(self.published, trials, num_folds=self.validation.folds)
        return self

    @model_validator(mode="after")
    def _check_goal(self) -> StudySpec:
        on_all = (row.folds or self.baselines.folds for row in self.baseline_rows)
        if self.search.until is not None and "all" not in on_all:
            raise InputError(
                "needs a baseline that is trained on all folds",
                where=("search", "until"),
                found=self.search.until,
                remedy="Leave it out, or add baselines",
            )
        return self

    @property
    def primary(self) -> ObjectiveSpec:
        """The first objective, which decides epochs, finalists and the verdict."""
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
        return self.training.changed(changes)

    def with_fixed_optimizer(self, settings: TrainingSettings) -> TrainingSettings:
        """Return settings with the optimizer that the space gives all models, if it does.

        What nobody names then has that optimizer's defaults.
        """
        node = None if isinstance(self.space, CallableRef) else self.space.shared.get("optimizer")
        return settings.changed({"optimizer": node.root}) if isinstance(node, Fixed) else settings

    def to_data(self) -> dict[str, Any]:
        """Return plain data that reads back as an equal study, its space inline.

        Each of ``OPTIMIZER_SETTINGS`` is named, if only as null, and so are ``confirm.repeats`` and
        ``search.sampler``: ``config/earlier_study.py``.
        """
        given = self.model_dump(mode="json", exclude_unset=True)
        given["training"] = {
            **given.get("training", {}),
            **{
                name: None
                for name in OPTIMIZER_SETTINGS
                if name not in self.training.model_fields_set
            },
        }
        given["confirm"] = {**given.get("confirm", {}), "repeats": self.confirm.repeats}
        given["search"] = {"sampler": self.search.sampler, **given.get("search", {})}
        data: dict[str, Any] = {
            name: given[name] for name in StudySpec.model_fields if name in given
        }
        if isinstance(self.space, SpaceSpec):
            data["space"] = self.space.to_data()
        data.pop("presets", None)  # the chosen preset has already changed the fields
        return data
