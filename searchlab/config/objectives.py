"""The objectives of a search: one metric of a trial, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from searchlab.config.metrics import (
    DEFAULT_METRIC,
    Direction,
    Metric,
    get_metric,
    list_objectives,
)
from searchlab.config.samplers import check_sampler
from searchlab.config.trial import ObjectiveConfig
from searchlab.config.validation import Spec, to_tuple
from searchlab.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from searchlab.config.attacks import AttackSpec
    from searchlab.config.search import SearchSpec

__all__ = ["ObjectiveSpec", "Objectives", "check_objectives"]

_EXAMPLES = {"robustness": "robustness: {attack: fgsm, epsilon: 0.1}"}


def _check_metric(name: str) -> str:
    known = list_objectives()
    if name not in known:
        raise InputError("must be a known metric", found=name, remedy=did_you_mean(name, known))
    return name


class ObjectiveSpec(Spec):
    """One metric that the search optimises, measured on validation folds if it needs images."""

    metric: Annotated[str, AfterValidator(_check_metric)] = Field(
        DEFAULT_METRIC,
        json_schema_extra=lambda schema: schema.update(enum=list(list_objectives())),
    )
    direction: Direction | None = Field(None, description="the default follows from the metric")
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
    def entry(self) -> Metric:
        """The metric's entry in the table."""
        return get_metric(self.metric)

    @property
    def natural_direction(self) -> Direction:
        """The direction in which this metric is better."""
        return self.entry.direction

    @property
    def sign(self) -> int:
        """1 if more is better, -1 if less is."""
        return self.entry.sign

    def to_config(self) -> ObjectiveConfig:
        """Return what a worker needs of a study's first objective."""
        return ObjectiveConfig(metric=self.metric, direction=self.natural_direction, at=self.at)


def _to_tuple(value: Any) -> Any:
    """Accept one objective for a list of them, and a metric's name for an objective."""
    if isinstance(value, (str, dict, ObjectiveSpec)):
        value = [value]
    if not isinstance(value, list):
        return value
    return to_tuple([{"metric": one} if isinstance(one, str) else one for one in value])


Objectives = Annotated[
    tuple[ObjectiveSpec, ...],
    BeforeValidator(
        _to_tuple, json_schema_input_type=ObjectiveSpec | str | list[ObjectiveSpec | str]
    ),
]


def check_objectives(
    objectives: tuple[ObjectiveSpec, ...], search: SearchSpec, robustness: AttackSpec | None
) -> None:
    """Raise InputError if the objectives cannot be searched together."""
    if not objectives:
        raise InputError("must name at least one objective", where=("objective",))
    _check_first(objectives)
    given = {"robustness": robustness}
    metrics = [objective.metric for objective in objectives]
    for index, objective in enumerate(objectives):
        if objective.metric in metrics[:index]:
            raise InputError(
                f"must name each metric once, got {objective.metric!r} twice", where=("objective",)
            )
        needs = objective.entry.needs
        if needs is not None and given[needs] is None:
            raise InputError(
                f"needs {needs} to measure {objective.metric}",
                where=("objective",),
                remedy=f"Add {_EXAMPLES[needs]}",
            )
    check_sampler(search.sampler, len(objectives))
    if len(objectives) > 1 and search.pruner != "none":
        raise InputError(
            "must be none with several objectives, because pruners rank trials by one",
            where=("search", "pruner"),
            found=search.pruner,
        )


def _check_first(objectives: tuple[ObjectiveSpec, ...]) -> None:
    """Raise InputError unless the first objective can decide which epoch counts for all."""
    first, *others = objectives
    if not first.entry.is_of_folds:
        raise InputError(
            "must start with a metric that every epoch measures, because it chooses epochs and "
            f"finalists ({', '.join(list_objectives(first=True))})",
            where=("objective",),
            found=first.metric,
            remedy="Put this one after it",
        )
    for index, objective in enumerate(others, start=1):
        if objective.at != first.at and "at" in objective.model_fields_set:
            raise InputError(
                f"must be {first.at!r}, as for the first objective, whose epoch counts for all",
                where=("objective", index, "at"),
                found=objective.at,
            )
