"""ConfigurationSpec: one configuration alone, as ``study best`` writes and ``train`` reads it."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from searchlab.config.dataset import DatasetSpec
from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, ObjectiveConfig, Scheme, TrialConfig
from searchlab.config.validation import Spec, Value, to_tuple
from searchlab.errors import InputError

__all__ = ["ConfigurationSpec", "ModelSpec"]

_Values = Annotated[tuple[Value, ...], BeforeValidator(to_tuple)]


class ModelSpec(Spec):
    """A network: its family, the family's own parameters, and the scheme of its first layer."""

    family: str = Field(description="a family or preset; see `searchlab space families`")
    scheme: Scheme = Field("DT", description="first convolution: HF, HT or DT")
    parameters: dict[str, Value | _Values] = Field(
        default_factory=dict, description="the family's own; a list has a value for each layer"
    )


class ConfigurationSpec(Spec):
    """All that decides a model but its images.

    ``last_epoch`` is the epoch that cross-validation chose: training stops there, on the course
    that ``training.epochs`` sets for the schedule. ``weights`` is a folder to start from.
    """

    dataset: DatasetSpec | None = Field(None, description="which images, and how they are scaled")
    model: ModelSpec
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    last_epoch: int | None = Field(None, ge=1, description="epoch after which training stops")
    seed: int = Field(0, description="from which weights and orders are drawn")
    weights: str | None = Field(None, description="folder of initial weights")
    plugins: Annotated[tuple[str, ...], BeforeValidator(to_tuple)] = Field(
        (), description="Python files or modules that register the family"
    )

    @model_validator(mode="after")
    def _check_last_epoch(self) -> ConfigurationSpec:
        if self.last_epoch is not None and self.last_epoch > self.training.epochs:
            raise InputError(
                f"must be <= training.epochs ({self.training.epochs})",
                where=("last_epoch",),
                found=self.last_epoch,
            )
        return self

    @classmethod
    def of(
        cls,
        config: TrialConfig,
        dataset: DatasetSpec,
        *,
        last_epoch: int | None,
        plugins: tuple[str, ...],
    ) -> ConfigurationSpec:
        """Return what a trial trained."""
        return cls(
            dataset=dataset,
            model=ModelSpec(**dataclasses.asdict(config.model)),
            training=config.settings,
            last_epoch=last_epoch,
            seed=config.seed,
            weights=config.initial_weights,
            plugins=plugins,
        )

    def to_data(self) -> dict[str, Any]:
        """Return plain data that reads back as an equal configuration."""
        data = self.model_dump(mode="json", exclude_none=True)
        if self.dataset is not None:
            data["dataset"] = self.dataset.model_dump(mode="json", exclude_unset=True)
        if not self.plugins:
            del data["plugins"]
        return data

    def to_trial(self, dataset: DatasetSpec) -> TrialConfig:
        """Return what trains it on all training images of ``dataset``."""
        return TrialConfig(
            number=0,
            seed=self.seed,
            role="confirmation",
            dataset=dataset.name,
            normalize=dataset.normalize,
            model=ModelConfig(**self.model.model_dump()),
            settings=self.training,
            initial_weights=self.weights,
            objective=ObjectiveConfig(),
            folds=FoldPlan(num_folds=2, folds=(), search_folds=1, test=True),
            last_epoch=self.last_epoch,
        )
