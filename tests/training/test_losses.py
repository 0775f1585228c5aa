"""Losses of training against torch's and torchvision's, class weights against scikit-learn's."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy, one_hot, softmax
from torchvision.ops import sigmoid_focal_loss
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.settings import LossName, TrainingSettings
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.losses import LOSSES, Targets, TrainingLoss

NUM_CLASSES = 4
LABELS = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2, 3, 3])
LOGITS = torch.randn(10, NUM_CLASSES, generator=torch.Generator().manual_seed(0))
MIXED = Targets(LABELS, LABELS.roll(1), torch.linspace(0, 1, 10))


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=5)


def measure(targets: Targets = Targets(LABELS), **settings: Any) -> torch.Tensor:  # noqa: B008
    return TrainingLoss(TrainingSettings(**settings), LABELS, NUM_CLASSES)(LOGITS, targets)


def test_every_loss_has_a_name_in_the_settings() -> None:
    assert set(LOSSES) == set(get_args(LossName))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_default_is_torchs_cross_entropy_to_the_bit(smoothing: float) -> None:
    expected = cross_entropy(LOGITS, LABELS, label_smoothing=smoothing)
    assert torch.equal(measure(label_smoothing=smoothing), expected)


def test_focal_loss_is_cross_entropy_at_gamma_0_and_the_papers_above() -> None:
    assert measure(loss="focal", focal_gamma=0.0) == pytest.approx(float(measure()))
    p = softmax(LOGITS.double(), 1)[torch.arange(10), LABELS]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    assert float(measure(loss="focal")) == pytest.approx(float(expected), rel=1e-5)


def test_focal_loss_of_two_classes_is_torchvisions() -> None:
    margin = LOGITS[:, :1]
    labels = LABELS.clamp(max=1)
    pair = torch.cat([torch.zeros_like(margin), margin], 1)
    ours = TrainingLoss(TrainingSettings(loss="focal"), labels, 2)(pair, Targets(labels))
    theirs = sigmoid_focal_loss(margin[:, 0], labels.float(), alpha=-1, gamma=2.0, reduction="mean")
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_bce_is_torchs_on_one_hot_targets() -> None:
    expected = torch.nn.BCEWithLogitsLoss(reduction="sum")(LOGITS, one_hot(LABELS).float()) / 10
    assert float(measure(loss="bce")) == pytest.approx(float(expected))


def test_balanced_weights_are_scikit_learns() -> None:
    weights = compute_class_weight("balanced", classes=np.arange(4), y=LABELS.numpy())
    losses = cross_entropy(LOGITS, LABELS, reduction="none").numpy()
    expected = (losses * weights[LABELS.numpy()]).mean()
    assert float(measure(class_weights="balanced")) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_mixed_image_has_both_losses_by_their_shares(name: LossName) -> None:
    share = MIXED.share.numpy()
    each = [LOSSES[name](LOGITS, labels, TrainingSettings()) for labels in (LABELS, MIXED.others)]
    expected = (share * each[0].numpy() + (1 - share) * each[1].numpy()).mean()
    assert float(measure(MIXED, loss=name)) == pytest.approx(float(expected), rel=1e-6)


def test_parts_of_a_batch_have_its_targets() -> None:
    for targets in (MIXED, Targets(LABELS)):
        parts = list(targets.split(3))
        assert torch.equal(torch.cat([part.labels for part in parts]), LABELS)
    assert torch.equal(torch.cat([part.share for part in MIXED.split(3)]), MIXED.share)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "focal"},
        {"loss": "bce", "label_smoothing": 0.1},
        {"class_weights": "balanced"},
        {"mixup": 0.4},
        {"cutmix": 1.0},
    ],
    ids=str,
)
def test_each_changes_what_is_learnt_and_repeats_itself(
    digits: TrainingData, settings: dict[str, Any]
) -> None:
    ours, again, plain = (
        untimed(Cohort(make_trial(**changes), digits).run_epoch())
        for changes in (settings, settings, {})
    )
    assert ours == again
    assert ours.folds != plain.folds
    assert all(np.isfinite(fold.validation["loss"]) for fold in ours.folds)


def test_split_batches_learn_the_same_from_weighted_and_mixed_images(
    digits: TrainingData,
) -> None:
    trial = make_trial(class_weights="balanced", mixup=0.4, dropout=0.0)
    whole, parts = (Cohort(trial, digits, batch_split=split).members[0] for split in (1, 3))
    assert whole.train_epoch(1)["loss"] == pytest.approx(parts.train_epoch(1)["loss"], rel=1e-4)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-2, atol=1e-3)
