"""Checks that the trial names which a study file uses exist in the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from searchlab.config.published import PublishedRow, PublishedSpec
from searchlab.errors import InputError, Location, did_you_mean

__all__ = ["check_ensembles", "check_published", "check_trial_names"]


def check_trial_names(names: Iterable[str], known: Sequence[str], *place: str | int) -> None:
    """Raise InputError for the first of ``names`` that is not in ``known``."""
    for name in names:
        if name not in known:
            raise InputError(
                "must name a trial of this study",
                where=place,
                found=name,
                remedy=did_you_mean(name, known),
            )


def check_ensembles(ensembles: Mapping[str, Sequence[str]], baselines: Sequence[str]) -> None:
    """Raise InputError unless each ensemble has a new name and several known baselines."""
    for name, members in ensembles.items():
        if name in baselines:
            raise InputError(f"has the name of a baseline: {name!r}", where=("ensembles", name))
        if len(members) < 2:
            raise InputError("must average at least two baselines", where=("ensembles", name))
        check_trial_names(members, baselines, "ensembles", name)


def check_published(published: PublishedSpec, trials: Sequence[str], *, num_folds: int) -> None:
    """Raise InputError if a published row or claim has a trial or fold that the study lacks."""
    for index, row in enumerate(published.rows):
        place = ("published", "rows", index)
        check_trial_names([] if row.trial is None else [row.trial], trials, *place, "trial")
        check_trial_names(row.across, trials, *place, "across")
        if row.fold is not None:
            _check_fold(row, row.fold, published, num_folds, place)
    for index, claim in enumerate(published.claims):
        check_trial_names(claim.trials, trials, "published", "claims", index, "trials")


def _check_fold(
    row: PublishedRow, fold: int, published: PublishedSpec, num_folds: int, place: Location
) -> None:
    if (row.against or published.against) != "folds":
        raise InputError(
            "requires against: folds",
            where=(*place, "fold"),
            remedy="Add that, or remove the fold",
        )
    if fold > num_folds:
        raise InputError(
            f"must be <= validation.folds ({num_folds})", where=(*place, "fold"), found=fold
        )
