"""Images that stay on the host because they take too much of a GPU's memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.attacks import AttackSpec
from searchlab.data import load_dataset
from searchlab.training import images as images_module
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.results import EpochResult


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=4)


def run(data: TrainingData, **changes: Any) -> EpochResult:
    return untimed(Cohort(make_trial(epochs=1, **changes), data).run_epoch())


@pytest.mark.parametrize("changes", [{}, {"augment": "flip+crop", "robustness": AttackSpec()}])
def test_images_that_are_fetched_give_the_same_bits(
    changes: dict[str, Any], digits: TrainingData
) -> None:
    # The processor by its number: torch takes it for another device than where the images are.
    fetched = replace(digits, device=torch.device("cpu:0"))
    assert fetched.train_images.device != fetched.device
    assert run(fetched, **changes) == run(digits, **changes)


def test_only_training_images_stay_on_the_host_and_only_if_they_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = load_dataset("digits", Path("unused"))
    meta = torch.device("meta")  # stands for a GPU
    size = images.train_images.nbytes
    monkeypatch.setattr(images_module, "most_image_bytes", lambda _, share: share * size)
    fits, exceeds = (TrainingData.from_images(images, [], meta, share=s) for s in (1.0, 0.99))
    assert fits.train_images.device == fits.train_labels.device == fits.device == meta
    assert exceeds.train_images.device == exceeds.train_labels.device == torch.device("cpu")
    assert exceeds.device == exceeds.test_images.device == exceeds.test_labels.device == meta
