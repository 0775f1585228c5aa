"""The search's section: figures computed from trials that are planted."""

from __future__ import annotations

import itertools
import statistics
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from searchlab.report.page.search import expect_best, was_ahead


@pytest.mark.parametrize("values", [[0.5], [0.3, 0.9, 0.9, 0.1], [5.0, -2.0, 0.0, 1.0, 7.0]])
def test_the_expected_best_is_the_mean_over_all_draws(values: list[float]) -> None:
    expected = [
        statistics.fmean(max(drawn) for drawn in itertools.combinations(values, count))
        for count in range(1, len(values) + 1)
    ]
    assert expect_best(values) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reached", "sign", "is_ahead"),
    [
        ({1: 0.4, 2: 0.7}, 1, True),
        ({1: 0.4, 2: 0.5}, 1, False),
        ({1: 0.9}, 1, True),
        ({1: 0.9}, -1, False),
        ({1: 0.2}, -1, True),
        ({}, 1, False),
        ({7: 0.9}, 1, False),
    ],
    ids=["later", "behind", "early", "loss behind", "loss ahead", "no epoch", "beyond the best's"],
)
def test_a_pruned_trial_is_ahead_by_the_best_trials_figure_at_the_same_epoch(
    reached: dict[int, float], sign: int, is_ahead: bool
) -> None:
    best: Any = SimpleNamespace(intermediate_values={1: 0.5, 2: 0.6, 3: 0.8})
    pruned = optuna.trial.create_trial(
        state=optuna.trial.TrialState.PRUNED, intermediate_values=reached
    )
    assert was_ahead(pruned, best, sign) == is_ahead
