"""Patience: when a trial ends, what it is worth then, and that its other folds change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.trial import FoldPlan, ObjectiveConfig, TrialConfig
from searchlab.training.checkpoint import load_checkpoint, save_checkpoint
from searchlab.training.checkpoint_files import CheckpointFiles
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.member import DivergedError, Member
from searchlab.training.metrics import Answers
from searchlab.training.results import EpochResult

NONE = float("nan")


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[float]]:
    """Let members train nothing and validate to given accuracies, fold by fold."""
    curves: dict[int, list[float]] = {}
    epochs: dict[int, int] = {}

    def train_epoch(member: Member, epoch: int) -> dict[str, float]:
        epochs[id(member)] = epoch
        if member.fold is None:
            with torch.no_grad():  # tells the epochs' weights apart
                next(iter(member.model.parameters())).fill_(float(epoch))
        elif curves[member.fold][epoch - 1] != curves[member.fold][epoch - 1]:
            raise DivergedError
        return {"loss": 1.0, "accuracy": 0.5}

    def validate(member: Member) -> tuple[dict[str, float], Answers]:
        assert member.fold is not None
        value = curves[member.fold][epochs[id(member)] - 1]
        figures = {"loss": 1 - value, "accuracy": value}
        return figures, Answers(labels=torch.zeros(2), batches=[torch.zeros(2, 10)])

    monkeypatch.setattr(Member, "train_epoch", train_epoch)
    monkeypatch.setattr(Member, "validate", validate)
    return curves


def patient(patience: int | None, *, folds: int = 1, test: bool = False, **changes: Any) -> Any:
    plan = FoldPlan(num_folds=5, folds=tuple(range(folds)), search_folds=1, test=test)
    return make_trial(**{"epochs": 8, "patience": patience, "folds": plan, **changes})


def run(trial: TrialConfig, digits: TrainingData) -> list[EpochResult]:
    cohort = Cohort(trial, digits)
    results = [cohort.run_epoch()]
    while not results[-1].done:
        results.append(cohort.run_epoch())
    return results


CURVE = [0.5, 0.7, 0.6, 0.7, 0.65, 0.8, 0.75, 0.7]


@pytest.mark.parametrize(
    ("patience", "last", "best"), [(1, 3, 2), (2, 4, 2), (3, 5, 2), (4, 8, 6), (None, 8, 6)]
)
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_a_trial_ends_after_so_many_epochs_without_a_better_one(
    digits: TrainingData,
    scripted: dict[int, list[float]],
    patience: int | None,
    last: int,
    best: int,
    metric: Any,
) -> None:
    scripted[0] = CURVE
    direction: Any = "maximize" if metric == "accuracy" else "minimize"
    objective = ObjectiveConfig(metric=metric, direction=direction)
    results = run(patient(patience, objective=objective), digits)
    assert [result.epoch for result in results] == list(range(1, last + 1))
    assert [result.done for result in results] == [False] * (last - 1) + [True]
    assert results[-1].best_epoch == best
    value = CURVE[best - 1] if metric == "accuracy" else 1 - CURVE[best - 1]
    assert results[-1].best_value == value


def test_the_test_set_is_met_with_the_best_epochs_weights(
    digits: TrainingData, scripted: dict[int, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted[0] = CURVE
    met: list[float] = []

    def meet(member: Member) -> tuple[dict[str, float], None]:
        met.append(float(next(iter(member.snapshot().values())).flatten()[0]))
        return {"loss": 0.25, "accuracy": 0.75, "robust_accuracy": 0.5}, None

    monkeypatch.setattr(Member, "test", meet)
    *before, last = run(patient(2, test=True), digits)
    assert met == [2.0]
    assert last.epoch == 4
    assert last.test == {"loss": 0.25, "accuracy": 0.75, "robust_accuracy": 0.5}
    assert all(result.test is None for result in before)


def test_the_other_folds_can_prolong_a_trial_but_never_raise_its_value(
    digits: TrainingData, scripted: dict[int, list[float]]
) -> None:
    """Else a finalist, on all folds, could be worth more than the search trial that it repeats."""
    scripted[0] = [0.5, 0.4, 0.4, 0.9, 0.4, 0.4, 0.4, 0.4]
    scripted[1] = [0.1, 0.3, 0.5, 0.7, 0.6, 0.6, 0.6, 0.6]
    searched = run(patient(2), digits)[-1]
    confirmed = run(patient(2, folds=2), digits)[-1]
    assert (searched.epoch, searched.best_epoch, searched.best_value) == (3, 1, 0.5)
    assert (confirmed.epoch, confirmed.best_epoch, confirmed.best_value) == (6, 1, 0.5)
    assert (confirmed.fold_epoch, confirmed.fold_values) == (4, (0.9, 0.7))


def test_without_patience_every_epoch_counts(
    digits: TrainingData, scripted: dict[int, list[float]]
) -> None:
    scripted[0] = [0.5, 0.4, 0.4, 0.9, 0.4, 0.4, 0.4, 0.4]
    last = run(patient(None), digits)[-1]
    assert (last.epoch, last.best_epoch) == (8, 4)


def test_a_trial_that_diverges_first_is_diverged(
    digits: TrainingData, scripted: dict[int, list[float]]
) -> None:
    scripted[0] = [0.5, 0.4, NONE, *CURVE]
    last = run(patient(3), digits)[-1]
    assert (last.epoch, last.done, last.diverged) == (3, True, True)


@pytest.mark.parametrize("cut", [1, 3, 4])
def test_a_trial_taken_up_again_ends_at_the_same_epoch(
    digits: TrainingData, scripted: dict[int, list[float]], tmp_path: Path, cut: int
) -> None:
    scripted[0] = CURVE
    trial = patient(2, test=True)
    expected = [untimed(result) for result in run(trial, digits)]
    stopped = Cohort(trial, digits)
    for _ in range(cut):
        stopped.run_epoch()
    save_checkpoint(stopped, CheckpointFiles(tmp_path, trial.number))
    cohort = Cohort(trial, digits)
    assert load_checkpoint(cohort, CheckpointFiles(tmp_path, trial.number))
    results = [replace(untimed(result), replayed=False) for result in cohort.replay()]
    while not results[-1].done:
        results.append(untimed(cohort.run_epoch()))
    assert results == expected
