"""Temperature scaling against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from searchlab.analysis.calibration import measure_calibration
from searchlab.analysis.temperature import apply_temperature, fit_temperature


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose input is its logits."""

    def fit(self, logits: Any, labels: Any) -> Given:
        self.classes_ = np.unique(labels)
        return self

    def decision_function(self, logits: np.ndarray) -> np.ndarray:
        return logits

    def predict(self, logits: np.ndarray) -> np.ndarray:
        return logits.argmax(1)


def draw(temperature: float, *, images: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits [N, 4] of a model, and labels as likely as it says at a temperature."""
    generator = np.random.default_rng(11)
    logits = generator.normal(size=(images, 4)) * 4
    probabilities = apply_temperature(logits, temperature)
    labels = np.array([generator.choice(4, p=row) for row in probabilities])
    return logits, labels


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_it_is_the_one_that_scikit_learn_finds(temperature: float) -> None:
    logits, labels = draw(temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.15)
    given = FrozenEstimator(Given().fit(logits, labels))
    theirs = CalibratedClassifierCV(given, method="temperature").fit(logits, labels)
    expected = theirs.predict_proba(logits)
    assert apply_temperature(logits, found) == pytest.approx(expected, abs=1e-3)


def test_log_probabilities_in_float32_give_the_same() -> None:
    logits, labels = draw(2.5)
    shifted = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)
    assert fit_temperature(shifted, labels) == pytest.approx(
        fit_temperature(logits, labels), rel=1e-3
    )


def test_it_mends_a_model_that_is_too_sure() -> None:
    logits, labels = draw(2.5)
    before = measure_calibration(apply_temperature(logits, 1), labels)
    after = measure_calibration(apply_temperature(logits, fit_temperature(logits, labels)), labels)
    assert after.error < before.error / 3
    assert after.loss < before.loss


def test_a_model_that_is_never_wrong_gets_the_lowest() -> None:
    assert fit_temperature(np.eye(3) * 2, np.arange(3)) < 0.06


def test_very_unlikely_classes_do_not_overflow() -> None:
    logits = np.array([[0, -6e4], [0, -6e4], [-6e4, 0]], np.float32)
    found = fit_temperature(logits, np.array([0, 1, 1]))
    assert np.isfinite(apply_temperature(logits, found)).all()
