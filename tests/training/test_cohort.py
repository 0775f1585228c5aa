from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.attacks import AttackSpec
from searchlab.config.trial import FoldPlan, ModelConfig, ObjectiveConfig
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.results import EpochResult

ONE_FOLD = FoldPlan(num_folds=5, folds=(0,), search_folds=1)


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits()


@pytest.fixture(scope="module")
def trained(digits: TrainingData) -> list[EpochResult]:
    """The results of the trial that ``make_trial`` makes, which nobody changes."""
    return run_all(Cohort(make_trial(), digits))


def run_all(cohort: Cohort) -> list[EpochResult]:
    return [cohort.run_epoch() for _ in range(cohort.config.settings.epochs)]


def test_value_is_the_mean_over_the_search_folds_at_the_best_epoch(digits: TrainingData) -> None:
    folds = FoldPlan(num_folds=5, folds=(0, 1, 2), search_folds=2)
    results = run_all(Cohort(make_trial(folds=folds), digits))
    for result in results:
        first, second, _ = result.folds
        mean = (first.validation["accuracy"] + second.validation["accuracy"]) / 2
        assert result.value == pytest.approx(mean)
    values = [result.value for result in results]
    assert results[-1].best_value == max(values)
    assert results[-1].best_epoch == values.index(max(values)) + 1
    all_folds = [sum(f.validation["accuracy"] for f in result.folds) for result in results]
    best = all_folds.index(max(all_folds))
    assert results[-1].fold_epoch == best + 1
    assert results[-1].fold_values == tuple(f.validation["accuracy"] for f in results[best].folds)


def test_at_last_the_value_is_that_of_the_last_epoch(digits: TrainingData) -> None:
    objective = ObjectiveConfig(metric="loss", direction="minimize", at="last")
    trial = make_trial(objective=objective, folds=ONE_FOLD)
    results = run_all(Cohort(trial, digits))
    assert results[-1].best_value == results[-1].value == results[-1].folds[0].validation["loss"]


def test_a_loss_objective_takes_the_smallest(digits: TrainingData) -> None:
    objective = ObjectiveConfig(metric="loss", direction="minimize")
    trial = make_trial(objective=objective, folds=ONE_FOLD)
    results = run_all(Cohort(trial, digits))
    assert results[-1].best_value == min(result.value for result in results)


def test_the_full_members_training_is_reported_each_epoch_beside_the_folds(
    digits: TrainingData, trained: list[EpochResult]
) -> None:
    trial = make_trial()
    assert trial.folds.test
    full = Member(trial, digits, None)
    expected = [full.train_epoch(epoch) for epoch in range(1, len(trained) + 1)]
    assert [result.full_training for result in trained] == expected
    assert expected != [result.folds[0].training for result in trained]
    search = replace(trial, folds=replace(trial.folds, test=False))
    assert Cohort(search, digits).run_epoch().full_training is None


def test_a_fold_trains_the_same_alone_and_in_company(
    digits: TrainingData, trained: list[EpochResult]
) -> None:
    single = run_all(Cohort(make_trial(folds=ONE_FOLD), digits))
    assert [r.folds[0] for r in trained] == [r.folds[0] for r in single]


def test_the_same_trial_gives_the_same_bits_whatever_its_number(
    digits: TrainingData, trained: list[EpochResult]
) -> None:
    torch.manual_seed(99)
    again = run_all(Cohort(make_trial(number=8), digits))
    assert [replace(untimed(r), number=7) for r in again] == [untimed(r) for r in trained]


def test_training_leaves_the_global_generator_alone(digits: TrainingData) -> None:
    before = torch.get_rng_state()
    run_all(Cohort(make_trial(epochs=1), digits))
    assert torch.equal(torch.get_rng_state(), before)


def test_another_seed_gives_another_result(digits: TrainingData) -> None:
    first, second = (Cohort(make_trial(seed=seed), digits).run_epoch() for seed in (0, 1))
    assert first.folds != second.folds


def test_every_fold_starts_from_weights_of_its_own(digits: TrainingData) -> None:
    """A model that carries on from fold to fold has seen its validation images."""
    cohort = Cohort(make_trial(), digits)
    first, second = (member.snapshot()["conv1.weight"] for member in cohort.members)
    assert not torch.equal(first, second)


def test_no_fold_trains_on_its_validation_images(digits: TrainingData) -> None:
    for fold in range(5):
        training, validation = digits.split(fold)
        assert not set(training.tolist()) & set(validation.tolist())
        assert len(training) + len(validation) == len(digits.train_labels)


def test_only_the_full_member_meets_the_test_set_and_only_at_the_end(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[int | None] = []
    original = Member.test

    def note(member: Member) -> dict[str, float]:
        met.append(member.fold)
        return original(member)

    monkeypatch.setattr(Member, "test", note)
    results = run_all(Cohort(make_trial(), digits))
    assert met == [None]
    assert [r.test is not None for r in results] == [False, False, False, True]
    assert run_all(Cohort(make_trial(folds=ONE_FOLD), digits))[-1].test is None
    assert met == [None]


def test_the_test_set_is_met_with_the_weights_of_the_best_epoch(digits: TrainingData) -> None:
    # A rate that is too high makes the best epoch another than the last.
    trial = make_trial(epochs=8, lr=0.08)
    results = run_all(Cohort(trial, digits))
    best = results[-1].fold_epoch
    assert best < trial.settings.epochs, "the case needs a best epoch before the last"
    replayed = Cohort(make_trial(epochs=best, lr=0.08), digits)
    last = run_all(replayed)[-1]
    assert last.fold_epoch == best
    assert results[-1].test == last.test


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged(
    digits: TrainingData, name: str
) -> None:
    cohort = Cohort(make_trial(optimizer=name, lr=1e30, epochs=50), digits)
    result = cohort.run_epoch()
    while not result.done:
        result = cohort.run_epoch()
    assert result.diverged
    assert result.test is None
    assert result.folds == ()
    assert result.epoch < 50


def test_a_frozen_first_layer_stays_as_it_was(digits: TrainingData) -> None:
    model = ModelConfig(family="a2", scheme="HF")
    cohort = Cohort(make_trial(model=model), digits)
    before = [member.snapshot() for member in cohort.members]
    run_all(cohort)
    for member, old in zip(cohort.members, before, strict=True):
        new = member.snapshot()
        assert torch.equal(new["conv1.weight"], old["conv1.weight"])
        assert torch.equal(new["conv1.bias"], old["conv1.bias"])
        assert not torch.equal(new["conv2.weight"], old["conv2.weight"])


def test_weight_decay_of_adamw_shrinks_weights(digits: TrainingData) -> None:
    def norm(weight_decay: float) -> float:
        settings: dict[str, Any] = {"optimizer": "adamw", "weight_decay": weight_decay}
        cohort = Cohort(make_trial(**settings, folds=ONE_FOLD, epochs=2), digits)
        run_all(cohort)
        return float(cohort.members[0].snapshot()["fc1.weight"].norm())

    assert norm(1.0) < norm(0.0)


def test_results_come_back_whole_from_a_dict(trained: list[EpochResult]) -> None:
    for result in trained:
        assert EpochResult.from_dict(result.to_dict()) == result


def test_normalisation_uses_the_training_images_of_the_fold_only(digits: TrainingData) -> None:
    training, _ = digits.split(2)
    normalized = digits.normalizer(2, "standard")(digits.train_images[training])
    assert float(normalized.mean()) == pytest.approx(0, abs=1e-4)
    assert float(normalized.std(correction=0)) == pytest.approx(1, abs=1e-4)
    unit = digits.normalizer(2, "unit")(digits.train_images[training])
    assert (float(unit.min()), float(unit.max())) == (0.0, pytest.approx(1.0))


def test_robust_accuracy_is_measured_of_every_fold_and_once_of_the_test_set(
    digits: TrainingData,
) -> None:
    trial = make_trial(model=ModelConfig(family="a1"), robustness=AttackSpec(epsilon=0.05))
    results = run_all(Cohort(trial, digits))
    for result in results:
        for fold in result.folds:
            assert 0 <= fold.validation["robust_accuracy"] <= fold.validation["accuracy"]
    assert results[-1].test is not None
    assert 0.1 < results[-1].test["robust_accuracy"] < results[-1].test["accuracy"]
    assert EpochResult.from_dict(results[-1].to_dict()) == results[-1]


def test_an_attack_in_evaluation_changes_nothing_else(digits: TrainingData) -> None:
    trial = make_trial(epochs=1, folds=ONE_FOLD)
    attacked = replace(trial, robustness=AttackSpec(attack="pgd", steps=2))
    for plain, with_attack in zip(
        run_all(Cohort(trial, digits)), run_all(Cohort(attacked, digits)), strict=True
    ):
        for one, other in zip(plain.folds, with_attack.folds, strict=True):
            assert other.training == one.training
            assert one.validation.items() < other.validation.items()


def test_it_learns(digits: TrainingData) -> None:
    trial = make_trial(model=ModelConfig(family="a1"), epochs=15)
    last = run_all(Cohort(trial, digits))[-1]
    assert last.test is not None
    assert last.test["accuracy"] > 0.93
    assert math.isfinite(last.test["loss"])
