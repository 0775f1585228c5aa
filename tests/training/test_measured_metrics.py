"""The metrics of answers equal scikit-learn's, and each metric of the table has its function."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss
from torch import Tensor
from trial_configs import load_digits, make_trial

from searchlab.config.attacks import AttackSpec
from searchlab.config.metrics import list_metrics
from searchlab.config.trial import FoldPlan, ObjectiveConfig
from searchlab.training import metrics
from searchlab.training.cohort import Cohort
from searchlab.training.metrics import Answers, measure_answers, measures_answers


def draw(labels: list[int], num_classes: int, *, seed: int = 0) -> Answers:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((len(labels), num_classes), generator=generator)
    return Answers(labels=torch.tensor(labels), batches=logits.split(64))


def guess(label: int, labels: list[int], num_classes: int) -> Answers:
    """Answers of a model that takes every image for the same class."""
    logits = torch.zeros((len(labels), num_classes))
    logits[:, label] = 1
    return Answers(labels=torch.tensor(labels), batches=[logits])


ANSWERS = {
    "all classes": draw([0, 1, 2, 3] * 25, 4),
    "imbalanced": draw([0] * 95 + [1] * 5, 2),
    "classes absent": draw([0, 2, 2, 0, 2] * 4, 5),
    "one image": draw([3], 5),
    "one class": draw([1] * 7, 3),
    "never predicted": guess(0, [0, 1, 2] * 5, 3),
    "only absent classes predicted": guess(2, [0, 1] * 5, 4),
    "many classes": draw(list(range(200)) * 2, 300, seed=1),
}


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("name", ANSWERS)
def test_the_figures_are_those_of_scikit_learn(name: str) -> None:
    answers = ANSWERS[name]
    truth, logits = answers.labels.numpy(), answers.logits
    guesses = logits.argmax(1).numpy()
    chances = logits.double().softmax(1).numpy()
    assert measure_answers(answers) == {
        "accuracy": pytest.approx(accuracy_score(truth, guesses)),
        "loss": pytest.approx(
            log_loss(truth, chances, labels=list(range(logits.shape[1]))), rel=1e-6
        ),
        "balanced_accuracy": pytest.approx(balanced_accuracy_score(truth, guesses)),
        "macro_f1": pytest.approx(f1_score(truth, guesses, average="macro", zero_division=0)),
    }


def test_a_guess_of_the_large_class_is_seen_through() -> None:
    figures = measure_answers(guess(0, [0] * 95 + [1] * 5, 2))
    assert figures["accuracy"] == 0.95
    assert figures["balanced_accuracy"] == 0.5
    assert figures["macro_f1"] < 0.5


def test_images_are_counted_by_what_they_are_and_by_what_they_are_taken_for() -> None:
    answers = Answers(labels=torch.tensor([0, 0, 2]), batches=[torch.eye(3)[[0, 1, 1]]])
    assert answers.counts.tolist() == [[1, 0, 0], [2, 0, 1], [1, 2, 0]]


def test_what_an_attack_leaves_is_measured_if_there_was_one() -> None:
    plain = ANSWERS["all classes"]
    fooled = Answers(labels=plain.labels, batches=[plain.logits.flip(0)])
    attacked = Answers(labels=plain.labels, batches=plain.batches, attacked=fooled)
    assert "robust_accuracy" not in measure_answers(plain)
    assert measure_answers(attacked) == {
        **measure_answers(plain),
        "robust_accuracy": measure_answers(fooled)["accuracy"],
    }


def test_an_evaluation_waits_for_the_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def note(name: str) -> Any:
        original = getattr(Tensor, name)

        def reading(self: Tensor, *args: Any) -> Any:
            read.append(name)
            return original(self, *args)

        return reading

    answers = draw([0, 1, 2, 3] * 25, 4, seed=2)
    for name in ("item", "tolist", "cpu", "__bool__", "__float__", "__int__", "nonzero"):
        monkeypatch.setattr(Tensor, name, note(name))
    measure_answers(answers)
    assert read == ["tolist"]


def test_every_metric_of_the_table_has_its_function() -> None:
    with_own = {one.name for one in list_metrics() if one.is_of_folds and one.of_counts is None}
    assert set(metrics._of_answers) == with_own
    assert set(metrics._of_models) == {one.name for one in list_metrics() if not one.is_of_folds}
    with pytest.raises(ValueError, match="'loss' already has a function"):
        measures_answers("loss")


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "robust_accuracy"])
def test_a_trial_goes_by_any_metric_of_its_folds(metric: str) -> None:
    folds = FoldPlan(num_folds=5, folds=(0, 1), search_folds=2, test=True)
    attack = AttackSpec(epsilon=0.05) if metric == "robust_accuracy" else None
    objective = ObjectiveConfig(metric=metric)
    trial = make_trial(objective=objective, folds=folds, epochs=3, robustness=attack)
    cohort = Cohort(trial, load_digits())
    results = [cohort.run_epoch() for _ in range(3)]
    values = [sum(fold.validation[metric] for fold in result.folds) / 2 for result in results]
    assert [result.value for result in results] == pytest.approx(values)
    last = results[-1]
    assert last.best_value == pytest.approx(max(values))
    assert last.fold_values == tuple(
        fold.validation[metric] for fold in results[last.fold_epoch - 1].folds
    )
    assert last.test is not None
    assert 0 < last.test[metric] <= 1
