"""The contest of the best finalist and the best baseline, by which a study's verdict is reached.

Both are chosen by cross-validation. The test set decides between them, by several models of each.
Without those, the folds decide that the search did not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from searchlab.analysis.comparison import FEWEST_FOLDS, Comparison, compare_folds
from searchlab.analysis.confirmation import (
    ConfirmedDifference,
    compare_counts,
    compare_scores,
    estimate_mean,
)
from searchlab.study.plan import Rivals, are_confirmed

if TYPE_CHECKING:
    from searchlab.config.metrics import Metric
    from searchlab.config.study import StudySpec
    from searchlab.records.trial_record import TrialRecord
    from searchlab.training.kept_answers import TestAnswers

__all__ = [
    "Basis",
    "Contest",
    "OpenBaseline",
    "estimate_test_mean",
    "find_open_baselines",
    "hold_contest",
]

Basis = Literal["test set", "unseen folds", "all folds"]

_Models = Sequence["TestAnswers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Finalist less baseline, on what it is based, and why there is no difference yet, if none is.

    ``all folds`` include those on which the search chose, so they can show a loss, not a win.
    """

    basis: Basis
    found: ConfirmedDifference | Comparison | None
    missing: str = ""


def hold_contest(spec: StudySpec, records: Iterable[TrialRecord], rivals: Rivals) -> Contest:
    """Compare a study's rivals by the best evidence that it has."""
    if not are_confirmed(spec, rivals):
        return _compare_on_folds(spec, rivals)
    models: list[list[TestAnswers]] = []
    for rival in (rivals.finalist, rivals.baseline):
        repeats = [
            record
            for record in records
            if record.confirmation_of == rival.number and not record.is_replaced
        ]
        if missing := _describe_missing(repeats, spec.confirm.repeats, rival):
            return Contest(basis="test set", found=None, missing=missing)
        models.append([record.answers for record in repeats if record.answers is not None])
    found = _compare_answers(spec.primary.entry, *models, seed=spec.search.seed)
    return Contest(basis="test set", found=found)


def estimate_test_mean(
    spec: StudySpec, records: Iterable[TrialRecord], number: int
) -> tuple[float, tuple[float, float], int] | None:
    """Return the mean test figure of a trial's confirmations, its 95 % interval, and their number.

    None if it has fewer than two, or if the metric is no mean over images.
    """
    metric = spec.primary.entry
    models = [
        record.answers
        for record in records
        if record.confirmation_of == number and record.state == "COMPLETE" and record.answers
    ]
    if len(models) < 2 or metric.image_score is None:
        return None
    scores = _score(metric, models, models[0].read_labels())
    return *estimate_mean(scores, bounds=metric.unit.bounds), len(models)


def _describe_missing(repeats: Sequence[TrialRecord], num_asked: int, rival: TrialRecord) -> str:
    """Say why a rival's models cannot be compared yet; "" if they can."""
    of = f"models of #{rival.number} that decide"
    for state, words in (("FAIL", "failed"), ("PRUNED", "diverged")):
        if ended := [record for record in repeats if record.state == state]:
            cause = f" ({ended[0].error})" if ended[0].error else ""
            return f"{len(ended)} of the {len(repeats)} {of} {words}{cause}"
    complete = [record for record in repeats if record.state == "COMPLETE" and record.answers]
    if len(complete) < num_asked or len(complete) < len(repeats):
        total = max(num_asked, len(repeats))
        return f"{len(complete)} of the {total} {of} are trained"
    return ""


def _compare_answers(
    metric: Metric, ours: _Models, theirs: _Models, *, seed: int
) -> ConfirmedDifference:
    """Raise ValueError if the models answered different images."""
    labels = ours[0].read_labels()
    if any(not np.array_equal(one.read_labels(), labels) for one in (*ours, *theirs)):
        raise ValueError("the models of the rivals did not meet the same test images")
    bounds = metric.unit.bounds
    if metric.image_score is not None:
        scores = [_score(metric, models, labels) for models in (ours, theirs)]
        return compare_scores(*scores, bounds=bounds)
    assert metric.of_counts is not None
    return compare_counts(
        _guesses(ours), _guesses(theirs), labels,
        measure=metric.of_counts, bounds=bounds, seed=seed,
    )  # fmt: skip


def _guesses(models: _Models) -> npt.NDArray[np.int64]:
    return np.stack([one.read_guesses() for one in models])


def _score(
    metric: Metric, models: _Models, labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return each model's score at each image: float64 [R, N]."""
    if metric.image_score == "hit":
        return np.stack([(one.read_guesses() == labels).astype(np.float64) for one in models])
    losses = [one.read_losses() for one in models]
    return np.stack([one for one in losses if one is not None])


def _compare_on_folds(spec: StudySpec, rivals: Rivals) -> Contest:
    seen = spec.validation.search_folds
    has_unseen = spec.validation.folds - seen >= FEWEST_FOLDS
    first = seen if has_unseen else 0
    ours, theirs = (one.fold_values[first:] for one in (rivals.finalist, rivals.baseline))
    found = compare_folds(
        ours, theirs, num_folds=spec.validation.folds, bounds=spec.primary.entry.unit.bounds
    )
    return Contest(basis="unseen folds" if has_unseen else "all folds", found=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBaseline:
    """A baseline that may be better than the best: ``what`` became of it, and what to ``do``."""

    name: str
    what: str
    do: str


def find_open_baselines(
    spec: StudySpec, records: Iterable[TrialRecord], best: TrialRecord | None
) -> list[OpenBaseline]:
    """Return the baselines that the study asks for and that have no figure on all folds.

    Without those that could not have won: one that ended behind the ``best`` on the folds that it
    has, complete or diverged.
    """
    latest = {
        record.label: record
        for record in records
        if record.role == "baseline" and not record.is_replaced
    }
    found = [
        (row.name, latest.get(row.name))
        for row in spec.baseline_rows
        if not _has_all_folds(spec, latest.get(row.name))
    ]
    return [
        _describe_open(name, record)
        for name, record in found
        if record is None or not _is_behind(spec, record, best)
    ]


def _has_all_folds(spec: StudySpec, record: TrialRecord | None) -> bool:
    return (
        record is not None
        and record.state == "COMPLETE"
        and len(record.fold_values) == spec.validation.folds
    )


def _is_behind(spec: StudySpec, record: TrialRecord, best: TrialRecord | None) -> bool:
    num_folds = len(record.fold_values)
    if best is None or not num_folds or record.state not in ("COMPLETE", "PRUNED"):
        return False
    theirs = sum(best.fold_values[:num_folds])
    return spec.primary.sign * (sum(record.fold_values) - theirs) < 0


def _describe_open(name: str, record: TrialRecord | None) -> OpenBaseline:
    leave_out = f"or leave {name} out, and run the study under another name"
    if record is None or record.state == "WAITING":
        return OpenBaseline(name=name, what="is not trained yet", do="Resume the study")
    if record.state == "RUNNING":
        return OpenBaseline(name=name, what="is not trained to its end", do="Wait or resume")
    if record.state == "FAIL":
        cause = f" ({record.error})" if record.error else ""
        return OpenBaseline(name=name, what=f"failed{cause}", do=f"Mend the cause, {leave_out}")
    if record.state == "PRUNED":
        do = f"Give it a smaller learning rate, {leave_out}"
        return OpenBaseline(name=name, what="diverged", do=do)
    do = "Set baselines.folds to all, and run the study under another name"
    return OpenBaseline(name=name, what="is trained on the search folds only", do=do)
