"""Trials for tests on a CUDA device: small networks on drawn images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from trial_configs import make_trial, untimed

from searchlab.config.attacks import AttackSpec
from searchlab.config.settings import AUGMENTATIONS
from searchlab.config.trial import FoldPlan, ModelConfig, TrialConfig
from searchlab.data import ImageData, stratified_folds
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.results import EpochResult

DEVICE = torch.device("cuda")
NUM_CLASSES = 4
PLAN = FoldPlan(num_folds=4, folds=(0,), search_folds=1, test=True)
# Batch normalisation and dropout, but no pooling, whose gradient CUDA sums in any order.
MOODY = ModelConfig(family="cnn", parameters={"width": 8, "pool": 1, "batch_norm": True})
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "every augmentation": {
        "augment": "+".join(AUGMENTATIONS),
        "jitter_hue": 0.2,
        "crop_padding": 2,
        "cutout_size": 4,
    },
    "fgsm": {"adversarial": "fgsm", "robustness": AttackSpec()},
    "pgd": {
        "adversarial": "pgd",
        "attack_steps": 2,
        "robustness": AttackSpec(attack="pgd", steps=2),
    },
    "bfloat16": {"precision": "bfloat16", "robustness": AttackSpec()},
    "an average, layers that learn more slowly, lion, mirror images": {
        "ema_decay": 0.9,
        "layer_decay": 0.7,
        "optimizer": "lion",
        "average_flips": True,
    },
    "focal loss, weighted classes": {"loss": "focal", "class_weights": "balanced"},
    "mixed images": {"mixup": 0.2, "cutmix": 0.5, "loss": "bce"},
    "smoothing and clipping": {
        "label_smoothing": 0.1,
        "optimizer": "sgd",
        "lr": 0.05,
        "momentum": 0.9,
        "clip_norm": 0.1,
    },
}
NOT_GRAPHED: dict[str, dict[str, Any]] = {
    **SETTINGS,
    "float16, steps of two batches": {"precision": "float16", "clip_norm": 0.5, "accumulate": 2},
}


def draw_data(device: torch.device) -> TrainingData:
    """Noise with a bright quarter that tells the class: [80, 3, 16, 16]."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 128, (80, 3, 16, 16), dtype=np.uint8)
    labels = np.arange(80) % NUM_CLASSES
    for image, label in zip(images, labels, strict=True):
        top, left = 8 * (label // 2), 8 * (label % 2)
        image[:, top : top + 8, left : left + 8] += 100
    data = ImageData(
        name="drawn", train_images=images[:64], train_labels=labels[:64], test_images=images[64:],
        test_labels=labels[64:], num_classes=NUM_CLASSES,
    )  # fmt: skip
    folds = stratified_folds(labels[:64], num_folds=PLAN.num_folds, seed=0)
    return TrainingData.from_images(data, folds, device)


def configure(**changes: Any) -> TrialConfig:
    changes = {"model": MOODY, "epochs": 3, "batch_size": 16, "folds": PLAN, **changes}
    # Only the moody model drops activations: other tests compare bits that a draw would change.
    dropout = 0.3 if changes["model"] is MOODY else 0.0
    return make_trial(**{"dropout": dropout, **changes})


def run_all(cohort: Cohort) -> list[EpochResult]:
    results = [cohort.run_epoch()]
    while not results[-1].done:
        results.append(cohort.run_epoch())
    return [untimed(result) for result in results]
