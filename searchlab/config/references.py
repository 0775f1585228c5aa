"""The names by which parts of a study refer to its trials: each is its own, and names one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.config.published import SEARCH, PublishedRow
from searchlab.config.validation import located_error
from searchlab.errors import did_you_mean

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec

__all__ = ["check_references"]


def check_references(spec: StudySpec) -> None:
    """Raise a located error where a name of a trial is taken twice or names none."""
    baselines = [row.name for row in (*spec.baselines.grid, *spec.baselines.rows)]
    _check_distinct(baselines)
    for name in spec.baselines.only or ():
        _require(name, baselines, "baselines", "only")
    for name, pairs in spec.comparisons.items():
        for member in (one for pair in pairs for one in pair):
            _require(member, baselines, "comparisons", name)
    _check_ensembles(spec, baselines)
    for member in spec.correlations:
        _require(member, baselines, "correlations")
    if spec.published is not None:
        for index, row in enumerate(spec.published.rows):
            _check_row(row, spec, baselines, ("published", "rows", str(index)))


def _check_distinct(baselines: list[str]) -> None:
    for index, name in enumerate(baselines):
        if name in baselines[:index]:
            raise located_error(
                f"must have names of their own, got {name!r} twice", "baselines", "rows"
            )


def _check_ensembles(spec: StudySpec, baselines: list[str]) -> None:
    for name, members in spec.ensembles.items():
        if name in baselines:
            raise located_error(f"has the name of a baseline: {name!r}", "ensembles", name)
        if len(members) < 2:
            raise located_error("must average at least two baselines", "ensembles", name)
        for member in members:
            _require(member, baselines, "ensembles", name)


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
