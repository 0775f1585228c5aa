"""The quick TPE suggests what Optuna's does, whatever has ended and whatever runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from searchlab.study.pruning.registry import make_pruner
from searchlab.study.samplers.quick_tpe import History, QuickTPESampler
from searchlab.study.samplers.registry import DerivedSampler

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

Make = Callable[[int], BaseSampler]


def make_optunas() -> Make:
    return lambda seed: TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def make_quick() -> Make:
    history = History()
    return lambda seed: QuickTPESampler(history, seed=seed)


def suggest(trial: Trial, *, late: bool) -> None:
    """A space of families; a family that comes late, and a range of one value."""
    trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    trial.suggest_categorical("batch_size", [32, 64])
    trial.suggest_categorical("fixed", ["only"])
    families = ["cnn", "fcn", "mixed"]
    family = trial.suggest_categorical("family", families)
    if family == "cnn" or (family == "mixed" and late):
        for layer in range(trial.suggest_int("cnn.depth", 1, 3)):
            trial.suggest_categorical(f"cnn.layer{layer}.width", [16, 32, 64])
    if family != "cnn":
        trial.suggest_int("fcn.width", 8, 64, step=8)
        trial.suggest_float("fcn.dropout", 0.0, 0.5)


def play(
    sampler: DerivedSampler, seed: int, directions: list[str], num_trials: int
) -> list[dict[str, Any]]:
    """Run trials of which four are always under way, ending in any order and state."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    single = len(directions) == 1
    study = optuna.create_study(
        study_name="played",
        directions=directions,
        sampler=sampler,
        pruner=make_pruner("hyperband" if single else "none", epochs=9),
    )
    rng = random.Random(seed)
    live: list[Trial] = []
    asked = []
    for number in range(num_trials):
        trial = study.ask()
        suggest(trial, late=number > num_trials // 2)
        asked.append(trial.params)
        live.append(trial)
        if len(live) == 4:
            end(study, live.pop(rng.randrange(4)), rng)
    return asked


def end(study: Study, trial: Trial, rng: random.Random) -> None:
    draw = rng.random()
    if draw < 0.3:
        if len(study.directions) == 1 and draw < 0.25:  # others never reported
            trial.report(rng.choice([0.5, rng.random(), float("nan")]), 1 + int(draw * 20))
        study.tell(trial, state=TrialState.PRUNED)
    elif draw < 0.4:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, [rng.choice([0.5, rng.random()]) for _ in study.directions])


@pytest.mark.parametrize(
    ("directions", "num_trials"),
    [(["maximize"], 60), (["minimize"], 60), (["maximize", "minimize"], 40)],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_suggestions_are_those_of_optunas_tpe(
    seed: int, directions: list[str], num_trials: int
) -> None:
    quick, optunas = (
        play(DerivedSampler(make(), seed), seed, directions, num_trials)
        for make in (make_quick, make_optunas)
    )
    assert quick == optunas


def test_a_second_study_is_not_taken_for_the_first() -> None:
    quick = DerivedSampler(make_quick(), 0)
    first = play(quick, 1, ["maximize"], 30)
    assert play(quick, 2, ["minimize"], 30) == play(
        DerivedSampler(make_optunas(), 0), 2, ["minimize"], 30
    )
    assert play(quick, 1, ["maximize"], 30) == first


def test_every_finished_trial_is_represented_once_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work of an ask is that of the trials that ended since the last one."""
    counted: list[int] = []
    original = optuna.distributions.FloatDistribution.to_internal_repr

    def represent(self: optuna.distributions.FloatDistribution, value: float) -> float:
        counted.append(1)
        return original(self, value)

    study = optuna.create_study(sampler=DerivedSampler(make_quick(), 0))
    space = {"lr": optuna.distributions.FloatDistribution(0.0, 1.0)}
    for number in range(60):
        study.tell(study.ask(space), float(number))
    monkeypatch.setattr(optuna.distributions.FloatDistribution, "to_internal_repr", represent)
    study.ask(space)
    assert len(counted) <= 5
