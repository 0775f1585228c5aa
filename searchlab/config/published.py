"""PublishedSpec: the figures of a report that a study redoes, to print beside its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from searchlab.config.validation import Number, Spec, Value, to_tuple
from searchlab.errors import InputError

__all__ = ["SEARCH", "Figure", "PublishedRow", "PublishedSpec"]

SEARCH = "search"
"""The trial of a published row that stands for the search's best."""

Figure = Literal[
    "accuracy", "loss", "train_loss", "seconds_per_epoch", "correlation_mean", "correlation_std"
]


_OF_A_FOLD: tuple[Figure, ...] = ("accuracy", "loss", "train_loss")


class PublishedRow(Spec):
    """One row of a report's table.

    ``trial`` is the baseline (``a1/HF``, or a row's name) or the ensemble that redoes it, or
    ``search`` for the search's best trial. Accuracies are in per cent, as reports print them.
    """

    table: str = Field(description="where it stands in the report: table 1, figure 7")
    name: str = Field(description="the row as the report names it")
    trial: str | None = Field(
        description="a baseline, an ensemble, search for the search's best, or null: not redone"
    )
    figures: dict[Figure, Number] = Field(
        default_factory=dict, description="what the report printed; accuracy in per cent"
    )
    settings: dict[str, Value] = Field(
        default_factory=dict, description="settings that the report found best"
    )
    against: Literal["test", "folds"] | None = Field(
        None, description="ours: the test set or the mean over the folds; the default is above"
    )
    fold: int | None = Field(
        None, ge=1, description="accuracy, loss and train_loss are of this fold alone, from 1"
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
    def _check_figures_of_a_fold(self) -> PublishedRow:
        for figure in self.figures:
            if self.fold is not None and figure not in _OF_A_FOLD:
                raise InputError(
                    f"goes with {', '.join(_OF_A_FOLD)} only",
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
        description="ours, that diff is of: the test set or the mean over the folds; what else "
        "there is of the two stands beside",
    )
    why: str = Field("", description="why that comparison, where it needs saying")
    rows: Annotated[tuple[PublishedRow, ...], BeforeValidator(to_tuple)] = Field(
        json_schema_extra={"minItems": 1}
    )
