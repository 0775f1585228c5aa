"""A trial without folds: the full member alone, with draws of its own, for the test set."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.attacks import AttackSpec
from searchlab.config.trial import FoldPlan, ObjectiveConfig, TrialConfig
from searchlab.training.checkpoint import load_checkpoint, save_checkpoint
from searchlab.training.checkpoint_files import CheckpointFiles
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.results import EpochResult

ALONE = FoldPlan(num_folds=5, folds=(), search_folds=1, test=True)


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits()


def make_confirmation(**changes: object) -> TrialConfig:
    trial = replace(make_trial(), role="confirmation", folds=ALONE, repeat=1, last_epoch=2)
    return replace(trial, **changes)  # type: ignore[arg-type]


def run_to_end(cohort: Cohort) -> list[EpochResult]:
    results = [cohort.run_epoch()]
    while not results[-1].done:
        results.append(cohort.run_epoch())
    return results


def test_it_ends_at_its_last_epoch_and_has_no_value_before(digits: TrainingData) -> None:
    cohort = Cohort(make_confirmation(), digits)
    results = run_to_end(cohort)
    assert [result.epoch for result in results] == [1, 2]
    assert results[-1].epoch < cohort.config.settings.epochs
    assert all(math.isnan(result.value) and result.folds == () for result in results)
    assert all(result.full_training is not None for result in results)


def test_repeat_0_is_the_full_member_of_a_finalist_to_the_bit(digits: TrainingData) -> None:
    finalist = Cohort(make_trial(), digits)
    ended = run_to_end(finalist)[-1]
    again = Cohort(make_confirmation(repeat=0, last_epoch=ended.fold_epoch), digits)
    assert run_to_end(again)[-1].test == ended.test
    assert finalist.best_weights is not None
    assert again.best_weights is not None
    for name, weights in finalist.best_weights.items():
        assert torch.equal(weights, again.best_weights[name]), name


def test_every_repeat_draws_its_own_weights_and_orders(digits: TrainingData) -> None:
    first, second = (Cohort(make_confirmation(repeat=repeat), digits) for repeat in (1, 2))
    assert first.full is not None
    assert second.full is not None
    pairs = zip(first.full.model.parameters(), second.full.model.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)
    second.full.model.load_state_dict(first.full.model.state_dict())
    assert first.run_epoch().full_training != second.run_epoch().full_training


@pytest.mark.parametrize("metric", ["accuracy", "loss", "robust_accuracy"])
def test_its_answers_give_its_figure(digits: TrainingData, metric: str) -> None:
    direction = "minimize" if metric == "loss" else "maximize"
    trial = make_confirmation(
        objective=ObjectiveConfig(metric=metric, direction=direction),
        robustness=AttackSpec(attack="fgsm", epsilon=0.1) if metric == "robust_accuracy" else None,
    )
    ended = run_to_end(Cohort(trial, digits))[-1]
    assert ended.answers is not None
    assert ended.test is not None
    assert np.array_equal(ended.answers.read_labels(), digits.test_labels.numpy())
    if metric == "loss":
        losses = ended.answers.read_losses()
        assert losses is not None
        assert losses.mean() == pytest.approx(ended.test["loss"], rel=1e-6)
    else:
        right = ended.answers.read_labels() == ended.answers.read_guesses()
        assert right.mean() == pytest.approx(ended.test[metric])
        assert ended.answers.read_losses() is None
    assert EpochResult.from_dict(ended.to_dict()).answers == ended.answers


def test_trials_with_folds_keep_no_answers(digits: TrainingData) -> None:
    assert run_to_end(Cohort(make_trial(), digits))[-1].answers is None


def test_it_goes_on_from_a_checkpoint_to_the_same_bits(
    digits: TrainingData, tmp_path: Path
) -> None:
    whole = run_to_end(Cohort(make_confirmation(), digits))
    stopped = Cohort(make_confirmation(), digits)
    stopped.run_epoch()
    save_checkpoint(stopped, CheckpointFiles(tmp_path, 7))
    resumed = Cohort(make_confirmation(), digits)
    assert load_checkpoint(resumed, CheckpointFiles(tmp_path, 7))
    assert untimed(resumed.run_epoch()) == untimed(whole[-1])
