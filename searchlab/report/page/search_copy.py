"""A study's search trials as an Optuna study in memory, for Optuna's own figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import optuna
from optuna.trial import TrialState

from searchlab.config.metrics import get_metric

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from searchlab.report.page.findings import Findings

__all__ = ["copy_search"]


def copy_search(
    found: Findings,
    keep: Callable[[FrozenTrial], bool] = lambda trial: True,
    *,
    has_all_objectives: bool = False,
) -> Study:
    """Return the search trials that have ended, under their numbers and with values in their units.

    All other trials stand as failed ones without values, which Optuna's figures leave out: folds
    differ by role, so a baseline's value is none of the search's. The study has the first objective
    alone, unless ``has_all_objectives``.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kept = {trial.number for trial in found.search_trials if trial.state.is_finished()}
    objectives = found.reading.spec.objective[: None if has_all_objectives else 1]
    scales = [get_metric(objective.metric).unit.scale for objective in objectives]
    study = optuna.create_study(
        directions=["maximize" if objective.sign > 0 else "minimize" for objective in objectives]
    )
    study.add_trials(
        [
            _copy(trial, scales)
            if trial.number in kept and keep(trial)
            else optuna.trial.create_trial(state=TrialState.FAIL)
            for trial in found.reading.trials
        ]
    )
    return study


def _copy(trial: FrozenTrial, scales: Sequence[float]) -> FrozenTrial:
    values = [scale * value for scale, value in zip(scales, trial.values or (), strict=False)]
    return optuna.trial.create_trial(
        state=trial.state,
        values=values if trial.state is TrialState.COMPLETE else None,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values={
            step: scales[0] * value for step, value in trial.intermediate_values.items()
        },
    )
