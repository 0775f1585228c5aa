"""Trials for tests: small networks on the digits that come with scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import (
    FoldPlan,
    ModelConfig,
    ObjectiveConfig,
    TrialConfig,
)
from searchlab.data import load_dataset, stratified_folds
from searchlab.training.images import TrainingData
from searchlab.training.results import EpochResult

NUM_FOLDS = 5


def load_digits(every: int = 1) -> TrainingData:
    """Return the digits, or every second, third ... of those to train on."""
    images = load_dataset("digits", Path("unused"))
    images = replace(
        images,
        train_images=images.train_images[::every],
        train_labels=images.train_labels[::every],
    )
    folds = stratified_folds(images.train_labels, num_folds=NUM_FOLDS, seed=0)
    return TrainingData.from_images(images, folds, torch.device("cpu"))


def make_trial(**changes: Any) -> TrialConfig:
    """Return a trial with other fields or settings, which are not checked: lr may be 1e30."""
    config = TrialConfig(
        number=7,
        seed=0,
        role="baseline",
        dataset="digits",
        model=ModelConfig(family="cnn", parameters={"width": 8}),
        settings=TrainingSettings(epochs=4, batch_size=64, dropout=0.3, lr=0.01),
        objective=ObjectiveConfig(),
        folds=FoldPlan(num_folds=NUM_FOLDS, folds=(0, 1), search_folds=1, test=True),
    )
    names = changes.keys() & TrainingSettings.model_fields.keys()
    settings = config.settings.model_copy(update={name: changes.pop(name) for name in names})
    return replace(config, settings=settings, **changes)


def untimed(result: EpochResult) -> EpochResult:
    return replace(result, seconds=0.0, machine=None)
