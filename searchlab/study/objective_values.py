"""What a finished trial is worth: one value an objective, all of the same epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from searchlab.config.objectives import Metric, ObjectiveSpec
from searchlab.training.results import EpochResult, FoldMetrics

__all__ = ["mean_at_best_epoch", "objective_values"]

_FOLD_FIGURES: dict[Metric, str] = {
    "accuracy": "validation_accuracy",
    "loss": "validation_loss",
    "robust_accuracy": "robust_accuracy",
}


def objective_values(
    objectives: Sequence[ObjectiveSpec], results: Mapping[int, EpochResult], *, search_folds: int
) -> list[float]:
    """Return a trial's values in the order of the objectives.

    The first decides which epoch counts; the others are measured at that same epoch, as means
    over the search folds, or once for the model.
    """
    last = results[max(results)]
    first, *others = objectives
    assert first.metric in _FOLD_FIGURES, first.metric
    values = [last.best_value]
    for objective in others:
        value = _cost(objective.metric, last)
        if value is None:
            value = mean_at_best_epoch(objective.metric, results, search_folds=search_folds)
        assert value is not None, objective.metric
        values.append(value)
    return values


def mean_at_best_epoch(
    metric: Metric, results: Mapping[int, EpochResult], *, search_folds: int
) -> float | None:
    """Return a fold metric's mean over the search folds at the trial's best epoch, if measured."""
    last = results[max(results)]
    best = results.get(last.best_epoch)
    if best is None or not best.folds:
        return None
    values = [_figure(fold, metric) for fold in best.folds[:search_folds]]
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _figure(fold: FoldMetrics, metric: Metric) -> float | None:
    value: float | None = getattr(fold, _FOLD_FIGURES[metric])
    return value


def _cost(metric: Metric, last: EpochResult) -> float | None:
    if metric == "parameters":
        return float(last.num_parameters)
    if metric == "multiply_adds":
        return None if last.multiply_adds is None else float(last.multiply_adds)
    return last.latency_ms if metric == "latency" else None
