"""Confusions and figures by class, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from searchlab.analysis.confusions import count_confusions, list_confusions, measure_classes


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Labels [200] of five classes, and three models' guesses, of which 70 % are right."""
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 5, 200)
    guesses = np.stack([labels] * 3)
    is_wrong = generator.random(guesses.shape) < 0.3
    guesses[is_wrong] = generator.integers(0, 5, int(is_wrong.sum()))
    return labels, guesses


def test_counts_are_the_mean_of_scikit_learns_over_the_models(
    answers: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, guesses = answers
    expected = np.mean([confusion_matrix(labels, each) for each in guesses], axis=0)
    assert count_confusions(labels, guesses, 5) == pytest.approx(expected)


def test_figures_by_class_are_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, guesses = answers
    every = np.tile(labels, 3), guesses.ravel()
    expected = np.array(precision_recall_fscore_support(*every)[:3])
    found = measure_classes(count_confusions(labels, guesses, 5))
    assert pytest.approx(expected) == np.array([[f.precision, f.recall, f.f1] for f in found]).T


def test_a_class_without_images_or_answers_has_no_figure() -> None:
    counts = count_confusions(np.array([0, 0, 1]), np.array([[0, 0, 0]]), 3)
    first, second, third = measure_classes(counts)
    assert (first.precision, first.recall) == (pytest.approx(2 / 3), 1.0)
    assert (second.precision, second.recall, second.f1) == (None, 0.0, 0.0)
    assert (third.images, third.precision, third.recall, third.f1) == (0.0, None, None, None)


def test_a_planted_confusion_is_the_most_frequent() -> None:
    labels = np.repeat([0, 1, 2], 10)
    guesses = labels.copy()
    guesses[10:17] = 2  # seven of class 1
    guesses[0] = 1
    [first, second] = list_confusions(count_confusions(labels, guesses[None], 3), 5)
    assert (first.true, first.taken_for, first.images) == (1, 2, 7.0)
    assert (second.true, second.taken_for, second.images) == (0, 1, 1.0)


def test_models_without_an_error_have_no_confusion() -> None:
    labels = np.array([0, 1])
    assert list_confusions(count_confusions(labels, labels[None], 2), 5) == []
