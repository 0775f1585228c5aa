"""Calibration against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from searchlab.analysis.calibration import measure_calibration


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [500, 4] of an overconfident model, and labels [500]."""
    generator = np.random.default_rng(5)
    logits = generator.normal(size=(500, 4)) * 3
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    flatter = np.exp(logits / 2) / np.exp(logits / 2).sum(1, keepdims=True)
    labels = np.array([generator.choice(4, p=row) for row in flatter])
    return probabilities, labels


def test_bins_are_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = answers
    found = measure_calibration(probabilities, labels)
    right = probabilities.argmax(1) == labels
    accuracy, confidence = calibration_curve(right, probabilities.max(1), n_bins=15)
    assert [one.accuracy for one in found.bins] == pytest.approx(accuracy)
    assert [one.confidence for one in found.bins] == pytest.approx(confidence)
    assert sum(one.images for one in found.bins) == 500
    shares = np.array([one.images for one in found.bins]) / 500
    assert found.error == pytest.approx(float(shares @ np.abs(accuracy - confidence)))
    assert found.error > 0.05
    assert found.loss == pytest.approx(log_loss(labels, probabilities))


def test_a_model_that_is_sure_and_right_has_no_error() -> None:
    found = measure_calibration(np.eye(3), np.arange(3))
    assert (found.error, found.loss) == (0, 0)
    assert [(one.low, one.high, one.images) for one in found.bins] == [
        (pytest.approx(14 / 15), 1, 3)
    ]


def test_a_sure_wrong_answer_has_a_finite_loss() -> None:
    found = measure_calibration(np.eye(2), np.array([1, 0]))
    assert found.error == 1
    assert np.isfinite(found.loss)
