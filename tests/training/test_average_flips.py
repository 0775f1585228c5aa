"""Answers that are means for an image and its mirror image: wherever a model is evaluated."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from trial_configs import load_digits, make_trial

from searchlab.analysis.robustness import measure_robustness
from searchlab.config.attacks import AttackSpec
from searchlab.config.trial import ModelConfig
from searchlab.deployment.classifier import build_classifier
from searchlab.training.checkpoint import save_model
from searchlab.training.cohort import Cohort
from searchlab.training.frozen_layers import KeptFeatures
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.saved_models import load_model

MODEL = ModelConfig(family="fcn", parameters={"width": 8})


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=5)


def mean_of_both(model: torch.nn.Module, inputs: Tensor) -> Tensor:
    model.eval()
    with torch.inference_mode():
        return (model(inputs) + model(inputs.flip(-1))) / 2


@pytest.mark.parametrize("model", [MODEL, ModelConfig(family="a2", scheme="HF")])
def test_folds_are_validated_by_the_mean(digits: TrainingData, model: ModelConfig) -> None:
    trial = make_trial(model=model, average_flips=True)
    member = Member(trial, digits, 0, kept=KeptFeatures())
    member.train_epoch(1)
    _, held_out = digits.split(0)
    images, labels = digits.training(held_out)
    logits = mean_of_both(member.model, member._normalize(images))
    figures, _ = member.validate()
    assert figures["loss"] == pytest.approx(float(cross_entropy(logits, labels)), rel=1e-5)


def test_the_test_and_the_models_that_are_kept_answer_by_the_mean(
    digits: TrainingData, tmp_path: Path
) -> None:
    trial = make_trial(
        model=MODEL, epochs=1, average_flips=True, robustness=AttackSpec(epsilon=0.1)
    )
    cohort = Cohort(trial, digits)
    result = cohort.run_epoch()
    assert result.test is not None
    path = save_model(cohort, tmp_path)
    assert path is not None
    saved = load_model(path, digits)
    normalize = digits.normalizer(None, "standard")
    expected = mean_of_both(saved.model, normalize(digits.test_images))
    torch.testing.assert_close(saved.logits(digits), expected)
    loss = float(cross_entropy(expected, digits.test_labels))
    assert result.test["loss"] == pytest.approx(loss, rel=1e-5)
    exported = build_classifier(
        trial, saved.model.state_dict(), normalize, image_shape=(1, 8, 8), num_classes=10, where=""
    )
    torch.testing.assert_close(exported(digits.test_images), expected)
    everything = torch.arange(len(digits.test_labels))
    [measured] = measure_robustness(saved, digits, everything, [trial.robustness])
    assert result.test["robust_accuracy"] == pytest.approx(measured)  # fgsm draws nothing
    features = saved.features(digits)
    assert len(features) == len(digits.test_labels)


def test_training_is_the_same_without_it(digits: TrainingData) -> None:
    trials = [
        make_trial(model=MODEL, average_flips=flips, adversarial="fgsm") for flips in (True, False)
    ]
    ours, plain = (Member(trial, digits, 0) for trial in trials)
    assert ours.train_epoch(1) == plain.train_epoch(1)
    assert ours.validate()[0] != plain.validate()[0]
    assert all(map(torch.equal, ours.model.parameters(), plain.model.parameters()))
