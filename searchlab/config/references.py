"""Checks that the names by which a study refers to its trials are those of trials it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from searchlab.config.published import PublishedRow, PublishedSpec
from searchlab.config.validation import located_error
from searchlab.errors import did_you_mean

__all__ = ["check_ensembles", "check_published", "check_trial_names"]


def check_trial_names(names: Iterable[str], known: Sequence[str], *place: str) -> None:
    """Raise a located error for the first of ``names`` that is not the name of a known trial."""
    for name in names:
        if name not in known:
            raise located_error(
                f"must name a trial of this study, got {name!r}. {did_you_mean(name, known)}",
                *place,
            )


def check_ensembles(ensembles: Mapping[str, Sequence[str]], baselines: Sequence[str]) -> None:
    """Raise a located error for an ensemble that is not several baselines under a new name."""
    for name, members in ensembles.items():
        if name in baselines:
            raise located_error(f"has the name of a baseline: {name!r}", "ensembles", name)
        if len(members) < 2:
            raise located_error("must average at least two baselines", "ensembles", name)
        check_trial_names(members, baselines, "ensembles", name)


def check_published(published: PublishedSpec, trials: Sequence[str], *, num_folds: int) -> None:
    """Raise a located error for a published row whose trial or fold the study does not have."""
    for index, row in enumerate(published.rows):
        place = ("published", "rows", str(index))
        check_trial_names([] if row.trial is None else [row.trial], trials, *place, "trial")
        if row.fold is not None:
            _check_fold(row, row.fold, published, num_folds, place)


def _check_fold(
    row: PublishedRow, fold: int, published: PublishedSpec, num_folds: int, place: tuple[str, ...]
) -> None:
    if (row.against or published.against) != "folds":
        raise located_error("requires against: folds. Add that, or remove the fold", *place, "fold")
    if fold > num_folds:
        raise located_error(
            f"must be <= validation.folds ({num_folds}), got {fold}", *place, "fold"
        )
