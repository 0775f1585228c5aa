"""Accuracy under attack: against numpy on a linear model, and against what a trial measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from trial_configs import load_digits, make_trial

from searchlab.analysis.robustness import measure_robustness
from searchlab.config.attacks import AttackName, AttackSpec
from searchlab.training.checkpoint import model_path, save_model
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.saved_models import SavedModel, load_model


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits()


@pytest.fixture(scope="module")
def linear(digits: TrainingData) -> SavedModel:
    """A linear model of the digits' pixels, with the weights of a nearest-mean classifier."""
    images = digits.train_images.flatten(1).float() / 255
    means = torch.stack([images[digits.train_labels == label].mean(0) for label in range(10)])
    layer = nn.Linear(images.shape[1], 10)
    with torch.no_grad():
        layer.weight.copy_(2 * means)
        layer.bias.copy_(-(means**2).sum(1))
    model = nn.Sequential(nn.Flatten(), layer)
    return SavedModel(config=make_trial(normalize="unit"), model=model.eval())


def everything(data: TrainingData) -> torch.Tensor:
    return torch.arange(len(data.test_labels))


@pytest.mark.parametrize("epsilon", [0, 0.02, 0.1])
def test_fgsm_on_a_linear_model_is_numpys(
    digits: TrainingData, linear: SavedModel, epsilon: float
) -> None:
    layer = linear.model[1]
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    pixels = digits.test_images.flatten(1).double().numpy() / 255
    labels = digits.test_labels.numpy()
    scores = np.exp(pixels @ weight.T + bias)
    residual = scores / scores.sum(1, keepdims=True) - np.eye(10)[labels]
    moved = np.clip(pixels + epsilon * np.sign(residual @ weight), 0, 1)
    expected = ((moved @ weight.T + bias).argmax(1) == labels).mean()
    [found] = measure_robustness(
        linear, digits, everything(digits), [AttackSpec(attack="fgsm", epsilon=epsilon)]
    )
    assert found == pytest.approx(expected, abs=1.5 / len(labels))


def test_accuracy_falls_with_epsilon_and_pgd_is_the_stronger_attack(
    digits: TrainingData, linear: SavedModel
) -> None:
    def under(attack: AttackName) -> list[float]:
        attacks = [AttackSpec(attack=attack, epsilon=epsilon) for epsilon in (0, 0.05, 0.1, 0.3)]
        return measure_robustness(linear, digits, everything(digits), attacks)

    fgsm, pgd = under("fgsm"), under("pgd")
    assert fgsm == sorted(fgsm, reverse=True)
    assert pgd == sorted(pgd, reverse=True)
    assert fgsm[0] == pgd[0] > 0.85
    assert all(theirs <= ours + 0.01 for ours, theirs in zip(fgsm, pgd, strict=True))
    assert pgd[-1] < 0.05


def test_a_kept_model_has_the_accuracy_under_attack_that_its_trial_recorded(
    digits: TrainingData, tmp_path: Path
) -> None:
    attack = AttackSpec(epsilon=0.05)
    trial = make_trial(robustness=attack, epochs=1)
    cohort = Cohort(trial, digits)
    result = cohort.run_epoch()
    save_model(cohort, tmp_path)
    model = load_model(model_path(tmp_path, trial.number), digits)
    [found] = measure_robustness(model, digits, everything(digits), [attack])
    assert result.test is not None
    assert found == result.test["robust_accuracy"]


def test_only_the_images_asked_for_are_attacked(digits: TrainingData, linear: SavedModel) -> None:
    [clean] = measure_robustness(linear, digits, everything(digits), [AttackSpec(epsilon=0)])
    right = linear.model(digits.test_images.float() / 255).argmax(1) == digits.test_labels
    assert clean == pytest.approx(float(right.float().mean()))
    wrong = (~right).nonzero().flatten()
    assert measure_robustness(linear, digits, wrong, [AttackSpec(epsilon=0)]) == [0]
