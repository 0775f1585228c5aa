"""The search's section: figures computed from trials that are planted."""

from __future__ import annotations

import itertools
import statistics
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from planted_studies import find
from trial_records import make_record

from searchlab.report.page.search import expect_best, make_search, was_ahead


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


@pytest.mark.parametrize(("until", "best"), [(None, 0.99), ("better-than-baseline", 0.95)])
def test_a_search_that_used_its_budget_says_nothing_of_its_end(
    until: str | None, best: float
) -> None:
    assert "ended" not in summarise(until, best)


def test_a_search_that_reached_its_goal_says_why_it_ended() -> None:
    text = summarise("better-than-baseline", 0.97)
    assert text.endswith(
        "With 3.00 points it is so far ahead of a2/DT there that the search ended (search.until "
        "asks for 2.83 points)."
    )


def summarise(until: str | None, best: float) -> str:
    values = (0.95, 0.9, best)
    trials = [optuna.trial.create_trial(value=value) for value in values]
    for number, trial in enumerate(trials):
        trial.number = number
    records = [
        make_record(0, "baseline", fold_values=(0.94, 0.95, 0.96)),
        *(make_record(number, value=values[number]) for number in (1, 2)),
    ]
    search = {"sampler": "random", "trials": 8, "until": until}
    return make_search(find(records, trials, search=search)).says or ""
