"""Trials for tests: small networks on the digits that come with scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from searchlab.config.trial import (
    FoldPlan,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    TrialConfig,
)
from searchlab.data import load_dataset, stratified_folds
from searchlab.training.images import TrainingData
from searchlab.training.results import EpochResult

NUM_FOLDS = 5


def load_digits() -> TrainingData:
    images = load_dataset("digits", Path("unused"))
    folds = stratified_folds(images.train_labels, num_folds=NUM_FOLDS, seed=0)
    return TrainingData.from_images(images, folds, torch.device("cpu"))


def make_trial(**changes: Any) -> TrialConfig:
    config = TrialConfig(
        number=7,
        seed=0,
        role="baseline",
        dataset="digits",
        epochs=4,
        batch_size=64,
        model=ModelConfig(family="cnn", parameters={"width": 8}, dropout=0.3),
        optimizer=OptimizerConfig(lr=0.01),
        objective=ObjectiveConfig(),
        folds=FoldPlan(num_folds=NUM_FOLDS, folds=(0, 1), search_folds=1, test=True),
    )
    return replace(config, **changes)


def untimed(result: EpochResult) -> EpochResult:
    return replace(result, seconds=0.0)
