"""PublishedSpec: a report's figures, printed with those of the study that reproduces it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from searchlab.config.metrics import list_metrics
from searchlab.config.validation import Number, Spec, Value, to_tuple
from searchlab.errors import InputError, did_you_mean

__all__ = ["SEARCH", "PublishedClaim", "PublishedRow", "PublishedSpec"]

SEARCH = "search"
"""The name by which a published row refers to the search's best trial."""

_OF_A_TRIAL = (
    "seconds_per_epoch", "seconds", "correlation_mean", "correlation_std", "images",
    "accuracy_deviation",
)  # fmt: skip

# A figure that needs another field of its row, which is of use for no other figure.
_NEEDS = {"images": "confusion", "accuracy_deviation": "across"}


def _figures_of_a_fold() -> tuple[str, ...]:
    metrics = (metric.name for metric in list_metrics() if metric.is_of_folds)
    return (*metrics, "train_loss", "first_train_loss")


def _name_figures(schema: dict[str, Any]) -> None:
    schema["propertyNames"] = {"enum": [*_figures_of_a_fold(), *_OF_A_TRIAL]}


class PublishedRow(Spec):
    """One row of a report's table.

    ``trial`` is the baseline (``a1/HF``, or a row's name) or ensemble that reproduces it, or
    ``search`` for the search's best trial. Accuracies are in per cent, as reports print them.
    """

    table: str = Field(description="its place in the report: table 1, figure 7")
    name: str = Field(description="the row as the report names it")
    trial: str | None = Field(
        description="a baseline, an ensemble, search (its best trial), or null: not reproduced"
    )
    figures: dict[str, Number] = Field(
        default_factory=dict,
        description="the report's figures: metrics, train_loss and others; accuracies in per cent, "
        "accuracy_deviation as a share",
        json_schema_extra=_name_figures,
    )
    settings: dict[str, Value] = Field(
        default_factory=dict, description="settings that the report found best"
    )
    against: Literal["test", "folds"] | None = Field(
        None, description="overrides published.against for this row"
    )
    fold: int | None = Field(
        None, ge=1, description="compare metrics and train_loss with this fold only, from 1"
    )
    confusion: Annotated[tuple[str, str] | None, BeforeValidator(to_tuple)] = Field(
        None, description="images: test images of the first class that are taken for the second"
    )
    across: Annotated[tuple[str, ...], BeforeValidator(to_tuple)] = Field(
        (), description="accuracy_deviation: the baselines whose accuracies deviate so much"
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
            if (needed := _NEEDS.get(figure)) and not getattr(self, needed):
                raise InputError(f"needs {needed}", where=("figures", figure))
            if self.fold is not None and figure not in of_a_fold:
                raise InputError(
                    f"applies only to {', '.join(of_a_fold)}",
                    where=("fold",),
                    found=figure,
                    remedy="Put that figure in a separate row",
                )
        for figure, needed in _NEEDS.items():
            if getattr(self, needed) and figure not in self.figures:
                raise InputError(f"is of use only for the figure {figure}", where=(needed,))
        return self


class PublishedClaim(Spec):
    """What a report says without a figure, and which trials of the study show whether it holds.

    The claim is that the first of ``trials`` is better than each of the others. A single trial is
    only shown, none says that the study doesn't repeat it.
    """

    table: str = Field(description="its place in the report: section 4.2")
    says: str = Field(description="what the report says")
    trials: Annotated[tuple[str, ...], BeforeValidator(to_tuple)] = Field(
        (), description="baselines or ensembles: the first is claimed to be better than the others"
    )
    metric: str | None = Field(None, description="by which; the study's objective if left out")
    note: str = Field("", description="what to know about it")

    @model_validator(mode="after")
    def _check_metric(self) -> PublishedClaim:
        known = [metric.name for metric in list_metrics()]
        if self.metric is not None and self.metric not in known:
            raise InputError(
                "must be a known metric",
                where=("metric",),
                found=self.metric,
                remedy=did_you_mean(self.metric, known),
            )
        return self


class PublishedSpec(Spec):
    """A report's figures, row by row."""

    source: str = Field(description="which report, and on which data")
    against: Literal["test", "folds"] = Field(
        "test",
        description="where ours and diff come from: the test set or the mean over the folds; the "
        "other is printed too if it is known",
    )
    why: str = Field("", description="a note on the comparison")
    differs: str = Field(
        "", description="what the study itself does not do as the report; then no diff is printed"
    )
    rows: Annotated[tuple[PublishedRow, ...], BeforeValidator(to_tuple)] = Field(
        json_schema_extra={"minItems": 1}
    )
    claims: Annotated[tuple[PublishedClaim, ...], BeforeValidator(to_tuple)] = Field(
        (), description="what the report says without figures, shown in the study's report"
    )
