"""What a trial is worth: its figures by metric, and one value an objective, all of one epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from searchlab.config.metrics import Figures
from searchlab.config.objectives import ObjectiveSpec
from searchlab.config.trial import FoldPlan
from searchlab.training.results import EpochResult

__all__ = ["objective_values", "trial_figures"]


def objective_values(
    objectives: Sequence[ObjectiveSpec], results: Mapping[int, EpochResult], *, folds: FoldPlan
) -> list[float]:
    """Return a finished trial's values in the order of the objectives.

    The first decides which epoch counts; the others are measured at that same epoch. A trial
    without folds is worth its figures on the test set.
    """
    figures = trial_figures(results, search_folds=folds.search_folds)
    last = results[max(results)]
    if not folds.folds:
        figures = {**figures, **(last.test or {})}
        return [figures[objective.metric] for objective in objectives]
    return [last.best_value, *(figures[objective.metric] for objective in objectives[1:])]


def trial_figures(results: Mapping[int, EpochResult], *, search_folds: int) -> Figures:
    """Return what is known of a trial after ``results``, by epoch.

    Metrics of folds are means over the search folds at the trial's best epoch.
    """
    last = results[max(results)]
    best = results.get(last.best_epoch)
    folds = [fold.validation for fold in best.folds[:search_folds]] if best is not None else []
    means = {
        metric: math.fsum(fold[metric] for fold in folds) / len(folds)
        for metric in (folds[0] if folds else ())
    }
    return {**means, **last.figures}
