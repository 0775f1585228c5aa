"""SearchSpec: how a study searches its space, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from searchlab.config.samplers import SAMPLERS, SamplerName
from searchlab.config.validation import Number, Spec, Value, to_tuple
from searchlab.errors import InputError

__all__ = ["SearchSpec"]


class SearchSpec(Spec):
    """How the space is searched, and for how long."""

    sampler: SamplerName = Field("auto", description="what chooses the next trial")
    start: Literal["portfolio", "reference", "random"] = Field(
        "reference",
        description="what the search tries before its sampler draws. reference: for each family, "
        "the values of `training` and the family's defaults; portfolio: then also configurations "
        "that did well on other images (`study new` chooses it); random: nothing. The samplers "
        "random, grid and one_at_a_time: nothing",
    )
    warm_start: Annotated[tuple[dict[str, Value], ...], BeforeValidator(to_tuple)] = Field(
        (),
        description="points to try next, by parameter name (family: cnn, cnn.depth: 2, lr: 0.003); "
        "other parameters are as in the reference point. `study run --warm-start` fills it in",
    )
    pruner: Literal["none", "median", "halving", "successive_halving", "hyperband"] = Field(
        "none",
        description="what ends unpromising trials early; `study new` chooses halving",
    )
    trials: int | None = Field(
        None,
        ge=0,
        description="search trials; 0: baselines only; null: all trials of grid or one_at_a_time",
    )
    timeout: Number | None = Field(
        None, description="seconds after which no search trial starts; running ones finish"
    )
    until: Literal["better-than-baseline"] | None = Field(
        None,
        description="better-than-baseline: also end the search once its best trial is clearly "
        "ahead of the best baseline on the search folds, by confirm.margin and two standard errors",
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="all random draws derive from it")
    reference: dict[str, Value] = Field(
        default_factory=dict,
        description="one_at_a_time: the point to vary, by parameter name (cnn.depth: 2); other "
        "parameters start at a list's first value or a range's middle",
    )
    max_failures_in_row: int | None = Field(
        5, ge=1, description="failures in a row for one cause that stop the study; null: never stop"
    )
    points: int = Field(5, ge=2, description="grid, one_at_a_time: number of values from a range")

    @model_validator(mode="after")
    def _check(self) -> SearchSpec:
        if self.trials is None and not SAMPLERS[self.sampler].planned:
            raise InputError(
                f"is required with sampler {self.sampler}", where=("trials",), remedy="Add it"
            )
        if self.timeout is not None and self.timeout <= 0:
            raise InputError("must be > 0 seconds", where=("timeout",), found=self.timeout)
        if self.reference and self.sampler != "one_at_a_time":
            raise InputError(
                f"is used only by sampler one_at_a_time, not {self.sampler}", where=("reference",)
            )
        if self.warm_start and SAMPLERS[self.sampler].planned:
            raise InputError(
                f"has no effect with sampler {self.sampler}, which knows all its trials",
                where=("warm_start",),
                remedy="Leave it out, or choose another sampler",
            )
        return self
