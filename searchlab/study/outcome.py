"""How a trial ends, and what its record gets then: user attributes and learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from searchlab.study import trial_record as attr
from searchlab.study.objective_values import mean_at_best_epoch
from searchlab.training.results import EpochResult

__all__ = ["TrialOutcome", "decide_outcome", "end_attributes", "fail", "learning_curves"]

FailReason = Literal["error", "oom", "lost"]

_FIGURES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """A trial's last state with its reason; ``error`` is of a trial that failed."""

    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    reason: str | None = None
    error: str | None = None


def fail(error: str, reason: FailReason = "error") -> TrialOutcome:
    """Return the outcome of a trial that could not be trained; a ``lost`` one is run again."""
    return TrialOutcome(state="FAIL", reason=reason, error=error)


def decide_outcome(last: EpochResult | None, *, pruned: bool) -> TrialOutcome:
    """Return how a trial ends after its last result, if it had one (DESIGN 3)."""
    if last is None or not (last.done or pruned):
        return fail("the worker ended without a final result")
    if last.diverged:
        return TrialOutcome(state="PRUNED", reason="diverged")
    return (
        TrialOutcome(state="PRUNED", reason="pruned") if pruned else TrialOutcome(state="COMPLETE")
    )


def end_attributes(
    results: Mapping[int, EpochResult], outcome: TrialOutcome, *, search_folds: int
) -> dict[str, object]:
    """Return the user attributes of a trial that ended after ``results``, by epoch."""
    attributes: dict[str, object] = {}
    if outcome.reason is not None:
        attributes[attr.STOP_REASON] = outcome.reason
    if outcome.error is not None:
        attributes[attr.ERROR] = outcome.error
    if results:
        last = results[max(results)]
        seconds = math.fsum(result.seconds for result in results.values())
        attributes[attr.EPOCHS] = last.epoch
        attributes[attr.NUM_PARAMETERS] = last.num_parameters
        attributes[attr.SECONDS] = round(seconds, 3)
        attributes[attr.FOLD_VALUES] = list(last.fold_values)
        if last.test is not None:
            attributes[attr.TEST_ACCURACY] = last.test.accuracy
            attributes[attr.TEST_LOSS] = last.test.loss
            if last.test.robust_accuracy is not None:
                attributes[attr.TEST_ROBUST_ACCURACY] = last.test.robust_accuracy
        robust = mean_at_best_epoch("robust_accuracy", results, search_folds=search_folds)
        for name, figure in (
            (attr.ROBUST_ACCURACY, robust),
            (attr.MULTIPLY_ADDS, last.multiply_adds),
            (attr.LATENCY_MS, last.latency_ms),
            (attr.TRAIN_LOSS, _last_train_loss(results)),
        ):
            if figure is not None:
                attributes[name] = figure
        if last.batch_split > 1:
            attributes[attr.BATCH_SPLIT] = last.batch_split
    return attributes


def _last_train_loss(results: Mapping[int, EpochResult]) -> float | None:
    folds = results[max(results)].folds
    return math.fsum(fold.train_loss for fold in folds) / len(folds) if folds else None


def learning_curves(results: Mapping[int, EpochResult]) -> dict[str, list[Any]]:
    """Gather, for each figure, a list a fold of a value an epoch; and the seconds of each epoch."""
    trained = [results[epoch] for epoch in sorted(results) if not results[epoch].diverged]
    folds = range(len(trained[0].folds)) if trained else range(0)
    curves: dict[str, list[Any]] = {
        figure: [
            [round(getattr(result.folds[fold], figure), 6) for result in trained] for fold in folds
        ]
        for figure in _FIGURES
    }
    if trained and trained[0].folds[0].robust_accuracy is not None:
        curves["robust_accuracy"] = [
            [round(result.folds[fold].robust_accuracy or 0.0, 6) for result in trained]
            for fold in folds
        ]
    return {**curves, "seconds": [round(result.seconds, 3) for result in trained]}
