"""PublishedSpec: the figures of a report that a study redoes, to print beside its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from searchlab.config.validation import Number, Spec, Value, located_error, to_tuple
from searchlab.errors import did_you_mean

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec

__all__ = ["SEARCH", "ComparedPair", "Figure", "PublishedRow", "PublishedSpec", "check_references"]

SEARCH = "search"
"""The trial of a published row that stands for the search's best."""

Figure = Literal[
    "accuracy", "loss", "train_loss", "seconds_per_epoch", "correlation_mean", "correlation_std"
]


ComparedPair = Annotated[tuple[str, str], BeforeValidator(to_tuple)]
"""Two baselines: the first is expected to do better."""


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
    fold: int | None = Field(None, ge=1, description="the figure is of this fold alone, from 1")
    wrong: str = Field("", description="what was wrong with the method behind the figure")

    @model_validator(mode="after")
    def _check_says_something(self) -> PublishedRow:
        if not self.figures and not self.settings:
            raise located_error("must give at least one published figure or setting", "figures")
        return self


class PublishedSpec(Spec):
    """A report's figures, row by row."""

    source: str = Field(description="which report, and on what")
    against: Literal["test", "folds"] = Field(
        "test", description="compare with the test set or with the mean over the folds"
    )
    why: str = Field("", description="why that comparison, where it needs saying")
    rows: Annotated[tuple[PublishedRow, ...], BeforeValidator(to_tuple)] = Field(
        json_schema_extra={"minItems": 1}
    )


def check_references(spec: StudySpec) -> None:
    """Raise a located error where a name of a trial is taken twice or names none."""
    baselines = [row.name for row in (*spec.baselines.grid, *spec.baselines.rows)]
    for index, name in enumerate(baselines):
        if name in baselines[:index]:
            raise located_error(
                f"must have names of their own, got {name!r} twice", "baselines", "rows"
            )
    for name in spec.baselines.only or ():
        _require(name, baselines, "baselines", "only")
    for name, pairs in spec.comparisons.items():
        for member in (one for pair in pairs for one in pair):
            _require(member, baselines, "comparisons", name)
    for name, members in spec.ensembles.items():
        if name in baselines:
            raise located_error(f"has the name of a baseline: {name!r}", "ensembles", name)
        if len(members) < 2:
            raise located_error("must average at least two baselines", "ensembles", name)
        for member in members:
            _require(member, baselines, "ensembles", name)
    for member in spec.correlations:
        _require(member, baselines, "correlations")
    if spec.published is not None:
        for index, row in enumerate(spec.published.rows):
            _check_row(row, spec, baselines, ("published", "rows", str(index)))


def _check_row(
    row: PublishedRow, spec: StudySpec, baselines: list[str], place: tuple[str, ...]
) -> None:
    assert spec.published is not None
    if row.trial is not None:
        _require(row.trial, [*baselines, *spec.ensembles, SEARCH], *place, "trial")
    if row.fold is None:
        return
    if (row.against or spec.published.against) != "folds":
        raise located_error("goes with against: folds only. Add that, or remove it", *place, "fold")
    if row.fold > spec.validation.folds:
        raise located_error(
            f"must be <= validation.folds ({spec.validation.folds}), got {row.fold}", *place, "fold"
        )


def _require(name: str, known: list[str], *place: str) -> None:
    if name not in known:
        raise located_error(
            f"must name a trial of this study, got {name!r}. {did_you_mean(name, known)}", *place
        )
