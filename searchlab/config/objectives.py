"""What a search optimises: one figure of a trial, or several against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from searchlab.config.samplers import check_sampler
from searchlab.config.trial import FoldMetric, ObjectiveConfig
from searchlab.config.validation import Spec
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.config.robustness import RobustnessSpec
    from searchlab.config.search import SearchSpec

__all__ = ["Metric", "ObjectiveSpec", "Objectives", "check_objectives"]

Metric = Literal["accuracy", "loss", "robust_accuracy", "parameters", "multiply_adds", "latency"]
_MAXIMIZED = ("accuracy", "robust_accuracy")


class ObjectiveSpec(Spec):
    """One figure that the search optimises; accuracies and losses are those of validation folds.

    ``parameters`` are counted, ``multiply_adds`` are those of one image's forward pass,
    ``latency`` is the median milliseconds of one image's, measured on the worker.
    """

    metric: Metric = "accuracy"
    direction: Literal["maximize", "minimize"] | None = Field(
        None, description="follows from the metric"
    )
    at: Literal["best", "last"] = Field("best", description="value at the best epoch or the last")

    @model_validator(mode="after")
    def _check_direction(self) -> ObjectiveSpec:
        if self.direction is not None and self.direction != self.natural_direction:
            raise InputError(
                f"must be {self.natural_direction} for {self.metric}",
                where=("direction",),
                found=self.direction,
            )
        return self

    @property
    def natural_direction(self) -> Literal["maximize", "minimize"]:
        """The direction in which this metric is better."""
        return "maximize" if self.metric in _MAXIMIZED else "minimize"

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.natural_direction == "maximize" else -1

    def to_config(self) -> ObjectiveConfig:
        """Return what a worker needs of a study's first objective."""
        assert self.metric in get_args(FoldMetric), self.metric
        metric: FoldMetric = "accuracy" if self.metric == "accuracy" else "loss"
        return ObjectiveConfig(metric=metric, direction=self.natural_direction, at=self.at)


def _to_tuple(value: Any) -> Any:
    if isinstance(value, (dict, ObjectiveSpec)):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Objectives = Annotated[
    tuple[ObjectiveSpec, ...],
    BeforeValidator(_to_tuple, json_schema_input_type=ObjectiveSpec | list[ObjectiveSpec]),
]


def check_objectives(
    objectives: tuple[ObjectiveSpec, ...], search: SearchSpec, robustness: RobustnessSpec | None
) -> None:
    """Raise InputError for objectives that cannot be searched together."""
    if not objectives:
        raise InputError("must name at least one objective", where=("objective",))
    if objectives[0].metric not in get_args(FoldMetric):
        raise InputError(
            "must be accuracy or loss first, by which epochs and finalists are chosen",
            where=("objective",),
            found=objectives[0].metric,
            remedy="Put the others after it",
        )
    for index, objective in enumerate(objectives[1:], start=1):
        if objective.at != objectives[0].at and "at" in objective.model_fields_set:
            raise InputError(
                f"must be that of the first objective, {objectives[0].at!r}, whose epoch counts "
                "for all of them",
                where=("objective", index, "at"),
                found=objective.at,
            )
    metrics = [objective.metric for objective in objectives]
    for index, metric in enumerate(metrics):
        if metric in metrics[:index]:
            raise InputError(
                f"must name each metric once, got {metric!r} twice", where=("objective",)
            )
    if "robust_accuracy" in metrics and robustness is None:
        raise InputError(
            "needs the attack that robust_accuracy is measured under",
            where=("objective",),
            remedy="Add robustness: {attack: fgsm, epsilon: 0.1}",
        )
    check_sampler(search.sampler, len(objectives))
    if len(objectives) > 1 and search.pruner != "none":
        raise InputError(
            "must be none with several objectives, which no pruner can weigh",
            where=("search", "pruner"),
            found=search.pruner,
        )
