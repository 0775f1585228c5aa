"""PublishedSpec: the figures of a report, to print with those of the study that reproduces it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from searchlab.config.metrics import list_metrics
from searchlab.config.validation import Number, Spec, Value, to_tuple
from searchlab.errors import InputError, did_you_mean

__all__ = ["SEARCH", "PublishedRow", "PublishedSpec"]

SEARCH = "search"
"""The trial of a published row that stands for the search's best."""

_OF_A_TRIAL = ("seconds_per_epoch", "correlation_mean", "correlation_std")


def _figures_of_a_fold() -> tuple[str, ...]:
    return (*(metric.name for metric in list_metrics() if metric.is_of_folds), "train_loss")


def _name_figures(schema: dict[str, Any]) -> None:
    schema["propertyNames"] = {"enum": [*_figures_of_a_fold(), *_OF_A_TRIAL]}


class PublishedRow(Spec):
    """One row of a report's table.

    ``trial`` is the baseline (``a1/HF``, or a row's name) or the ensemble that redoes it, or
    ``search`` for the search's best trial. Accuracies are in per cent, as reports print them.
    """

    table: str = Field(description="its place in the report: table 1, figure 7")
    name: str = Field(description="the row as the report names it")
    trial: str | None = Field(
        description="a baseline, an ensemble, search for the search's best, or null: not reproduced"
    )
    figures: dict[str, Number] = Field(
        default_factory=dict,
        description="what the report printed: metrics, train_loss and others; accuracies in per "
        "cent",
        json_schema_extra=_name_figures,
    )
    settings: dict[str, Value] = Field(
        default_factory=dict, description="settings that the report found best"
    )
    against: Literal["test", "folds"] | None = Field(
        None, description="ours: the test set or the mean over the folds; the default is above"
    )
    fold: int | None = Field(
        None, ge=1, description="metrics and train_loss are of this fold alone, from 1"
    )
    wrong: str = Field("", description="what was wrong with the method behind the figure")

    @model_validator(mode="after")
    def _check_says_something(self) -> PublishedRow:
        if not self.figures and not self.settings:
            raise InputError(
                "must give at least one published figure or setting", where=("figures",)
            )
        return self

    @model_validator(mode="after")
    def _check_figures(self) -> PublishedRow:
        of_a_fold = _figures_of_a_fold()
        for figure in self.figures:
            if figure not in (*of_a_fold, *_OF_A_TRIAL):
                raise InputError(
                    "is not a known figure",
                    where=("figures", figure),
                    remedy=did_you_mean(figure, (*of_a_fold, *_OF_A_TRIAL)),
                )
            if self.fold is not None and figure not in of_a_fold:
                raise InputError(
                    f"goes with {', '.join(of_a_fold)} only",
                    where=("fold",),
                    found=figure,
                    remedy="Give that a row of its own",
                )
        return self


class PublishedSpec(Spec):
    """A report's figures, row by row."""

    source: str = Field(description="which report, and on what")
    against: Literal["test", "folds"] = Field(
        "test",
        description="what ours and diff are measured on: the test set or the mean over the folds; "
        "the other stands beside it if it is known",
    )
    why: str = Field("", description="why that comparison, if it needs saying")
    rows: Annotated[tuple[PublishedRow, ...], BeforeValidator(to_tuple)] = Field(
        json_schema_extra={"minItems": 1}
    )
