"""On a simple conditional objective, samplers that learn find better points than a random search.

Each is compared over fixed seeds, by the mean loss of the last trials and by the best.
"""

from __future__ import annotations

import functools
from statistics import mean

import pytest
from ledger_driving import make_spec
from sampler_driving import loss_of, run_study, search_spec

NUM_TRIALS = {"gp": 17, "tpe": 50, "evolution": 60, "nsga2": 60, "cmaes": 120}
SLOW = {"cmaes", "nsga2"}
SEEDS = (0, 1, 2)
DISCRETE = {
    "parameters": {
        "lr": [0.001, 0.003, 0.01],
        "dropout": [0.0, 0.2],
        "family": {
            "cnn": {
                "depth": [1, 2],
                "width": {"each_layer": [4, 8]},
                "activation": ["relu", "gelu"],
            },
            "fcn": {"depth": [1, 2], "width": [8, 16, 32]},
        },
    }
}


def _mark(sampler: str) -> object:
    return pytest.param(sampler, marks=pytest.mark.slow) if sampler in SLOW else sampler


def _seeds(sampler: str) -> tuple[int, ...]:
    return SEEDS[:1] if sampler == "gp" else SEEDS  # GP is slow, and far better


@functools.cache
def _losses(sampler: str, num_trials: int, seed: int) -> list[float]:
    spec = search_spec(sampler, num_trials, search={"seed": seed})
    return [loss_of(trial.params) for trial in run_study(spec).get_trials(deepcopy=False)]


@pytest.mark.parametrize("sampler", map(_mark, NUM_TRIALS))
def test_the_last_trials_are_far_better_than_random_ones(sampler: str) -> None:
    num_trials = NUM_TRIALS[sampler]
    num_last = max(4, num_trials // 5)
    found = mean(mean(_losses(sampler, num_trials, seed)[-num_last:]) for seed in _seeds(sampler))
    drawn = mean(mean(_losses("random", num_trials, seed)) for seed in _seeds(sampler))
    assert found < 0.75 * drawn


@pytest.mark.parametrize("sampler", ["gp", "tpe", "evolution"])
def test_the_best_trial_is_better_than_a_random_searchs(sampler: str) -> None:
    num_trials = NUM_TRIALS[sampler]
    found = mean(min(_losses(sampler, num_trials, seed)) for seed in _seeds(sampler))
    drawn = mean(min(_losses("random", num_trials, seed)) for seed in _seeds(sampler))
    assert found < 0.8 * drawn


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", pytest.param("gp", marks=pytest.mark.slow)])
def test_two_objectives_are_weighed_against_each_other(sampler: str) -> None:
    objectives = [{"metric": "loss"}, {"metric": "parameters"}]

    def volume(name: str) -> float:
        """Area dominated, up to loss 2.5 and 1 - dropout 1: the more, the better the front."""
        num_trials = 15 if sampler == "gp" else 60
        spec = make_spec(objective=objectives, search={"sampler": name, "trials": num_trials})
        study = run_study(spec)
        front = sorted(trial.values for trial in study.best_trials)
        area, ceiling = 0.0, 1.0
        for loss, other in front:
            if loss < 2.5:
                area += (2.5 - loss) * (ceiling - other)
                ceiling = other
        return area

    assert volume(sampler) > 1.05 * volume("random")


@pytest.mark.parametrize(
    ("sampler", "num_trials"),
    [pytest.param("gp", 20, marks=pytest.mark.slow), ("evolution", 40), ("nsga2", 40)],
)
def test_no_configuration_is_asked_for_twice_while_others_are_left(
    sampler: str, num_trials: int
) -> None:
    spec = search_spec(sampler, num_trials, space=DISCRETE)
    study = run_study(spec)
    points = [str(sorted(trial.params.items())) for trial in study.get_trials(deepcopy=False)]
    assert len(set(points)) == len(points)
