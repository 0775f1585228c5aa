"""Comparing two configurations by several models of each on one test set."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import t

from searchlab.analysis.confirmation import (
    ConfirmedDifference,
    compare_counts,
    compare_scores,
)
from searchlab.config.metrics import get_metric

Array = npt.NDArray[np.float64]


def draw_guesses(
    accuracy: float, *, repeats: int = 5, images: int = 400, seed: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return labels [N] and predicted classes [R, N] of ten classes."""
    labels = np.random.default_rng(1).integers(0, 10, images)
    generator = np.random.default_rng(seed)
    is_wrong = generator.random((repeats, images)) > accuracy
    others = (labels + generator.integers(1, 10, (repeats, images))) % 10
    return labels, np.where(is_wrong, others, labels)


def find_measure(metric: str) -> Any:
    return get_metric(metric).of_counts


def test_the_variance_is_that_of_the_images_and_of_each_sides_draws() -> None:
    ours = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]], dtype=np.float64)
    theirs = np.array([[0, 1, 0, 1], [0, 0, 1, 1]], dtype=np.float64)
    found = compare_scores(ours, theirs)
    assert found.difference == pytest.approx((3 / 4 + 2 / 4 + 4 / 4) / 3 - 1 / 2)
    differences = [1 - 0, 2 / 3 - 1 / 2, 1 / 3 - 1 / 2, 1 - 1]
    images = np.var(differences, ddof=1) / 4
    draws = np.var([0.75, 0.5, 1.0], ddof=1) / 3, 0.0
    assert found.images_variance == pytest.approx(images)
    assert found.draws_variances == pytest.approx(draws)
    assert found.error == pytest.approx(math.sqrt(images + draws[0]))
    freedom = (images + draws[0]) ** 2 / (images**2 / 3 + draws[0] ** 2 / 2)
    assert found.degrees_of_freedom == pytest.approx(freedom)
    assert found.p_value == pytest.approx(2 * t.sf(found.difference / found.error, freedom))


def test_the_interval_holds_what_a_test_at_its_level_would_not_refuse() -> None:
    _, ours = draw_guesses(0.9)
    labels, theirs = draw_guesses(0.88, seed=2)
    found = compare_scores((ours == labels) * 1.0, (theirs == labels) * 1.0, bounds=(0, 1))
    low, high = found.interval
    assert low < found.difference < high
    assert (found.p_value < 0.05) == (not low <= 0 <= high)


def test_the_interval_stays_within_what_is_possible() -> None:
    ours, theirs = np.ones((2, 4)), np.array([[0, 1, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
    low, high = compare_scores(ours, theirs, bounds=(0, 1)).interval
    assert low >= -0.25
    assert high <= 1.0


def test_counts_of_accuracy_give_what_its_scores_give() -> None:
    labels, ours = draw_guesses(0.9)
    _, theirs = draw_guesses(0.85, seed=2)
    by_counts = compare_counts(
        ours, theirs, labels, measure=find_measure("accuracy"), bounds=(0, 1)
    )
    by_scores = compare_scores((ours == labels) * 1.0, (theirs == labels) * 1.0, bounds=(0, 1))
    assert by_counts.difference == pytest.approx(by_scores.difference)
    assert by_counts.draws_variances == pytest.approx(by_scores.draws_variances)
    assert by_counts.images_variance == pytest.approx(by_scores.images_variance, rel=0.05)


def test_a_figure_of_classes_is_compared_and_repeats_to_the_bit() -> None:
    labels, ours = draw_guesses(0.95)
    _, theirs = draw_guesses(0.75, seed=2)
    compare: Any = lambda seed: compare_counts(  # noqa: E731
        ours, theirs, labels, measure=find_measure("balanced_accuracy"), seed=seed
    )
    found = compare(0)
    assert found.difference == pytest.approx(0.2, abs=0.05)
    assert found.p_value < 0.001
    assert found == compare(0)
    assert found != compare(1)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_a_figure_of_classes_varies_as_it_does_on_images_drawn_again(metric: str) -> None:
    # Of four classes, so that some patterns are of several images, and some of one.
    labels, ours = (drawn.clip(0, 3) for drawn in draw_guesses(0.9, repeats=2, images=60))
    theirs = draw_guesses(0.6, repeats=3, images=60, seed=2)[1].clip(0, 3)
    generator = np.random.default_rng(3)
    differences = []
    for _ in range(2000):
        drawn = generator.integers(60, size=60)
        means = [
            np.mean([measure_again(metric, labels[drawn], one[drawn]) for one in models])
            for models in (ours, theirs)
        ]
        differences.append(means[0] - means[1])
    found = compare_counts(ours, theirs, labels, measure=find_measure(metric))
    assert found.images_variance == pytest.approx(np.var(differences, ddof=1), rel=0.1)


def measure_again(metric: str, labels: Any, guesses: Any) -> float:
    table = np.bincount(4 * labels + guesses, minlength=16).reshape(4, 4).tolist()
    figures = []
    for one, row in enumerate(table):
        right, size, guessed = row[one], sum(row), sum(other[one] for other in table)
        if metric == "macro_f1" and size + guessed:
            figures.append(2 * right / (size + guessed))
        elif metric == "balanced_accuracy" and size:
            figures.append(right / size)
    return float(np.mean(figures))


@pytest.mark.parametrize("num_classes", [2, 40])
def test_images_that_are_all_answered_alike_or_all_differently_are_drawn_again(
    num_classes: int,
) -> None:
    """The variance of a share p of 40 images that are drawn again is p (1 - p) / 40."""
    labels = np.arange(40) % num_classes
    right, half = np.tile(labels, (2, 1)), np.where(np.arange(40) < 20, labels, (labels + 1) % 2)
    found = compare_counts(
        right, np.stack([half, half]), labels, measure=find_measure("accuracy"), bounds=(0, 1)
    )
    assert found.difference == 0.5
    assert found.images_variance == pytest.approx(0.5 * 0.5 / 40, rel=0.06)


def make(**changes: Any) -> ConfirmedDifference:
    values: dict[str, Any] = {
        "difference": 0.004, "images_variance": 0.002**2, "draws_variances": (0.002**2, 0.001**2),
        "num_images": 1000, "num_repeats": (5, 5),
    }  # fmt: skip
    return ConfirmedDifference(**{**values, **changes})


def test_equality_is_shown_by_two_one_sided_tests() -> None:
    near = make(difference=0.0002)
    tail = t.sf((0.01 - 0.0002) / near.error, near.degrees_of_freedom)
    assert near.p_unequal(0.01) == pytest.approx(tail)
    assert near.p_unequal(0.01) < 0.05 < make(difference=0.009).p_unequal(0.01)
    assert make(difference=0.02).p_unequal(0.01) > 0.5


def test_more_repeats_decide_if_the_images_leave_room_for_it() -> None:
    found = make(difference=0.0045)
    needed = found.find_needed(margin=0.0001)
    assert needed is not None
    assert needed.repeats is not None
    assert needed.repeats > 5
    factor = 5 / needed.repeats
    spared = make(difference=0.0045, draws_variances=[v * factor for v in found.draws_variances])
    assert abs(spared.difference) / spared.error >= 1.96


def test_what_was_not_enough_is_never_said_to_be_needed() -> None:
    found = make(difference=0.0458, draws_variances=(1e-4, 1e-6), num_repeats=(2, 2))
    assert found.p_value > 0.05
    needed = found.find_needed(margin=0.0001)
    assert needed is not None
    assert needed.repeats == 3
    assert needed.images == found.num_images + 1


def test_more_images_are_needed_if_repeats_are_not_enough() -> None:
    found = make(difference=0.003, images_variance=0.003**2)
    needed = found.find_needed(margin=0.0001)
    assert needed is not None
    assert needed.repeats is None
    assert needed.images > found.num_images


def test_models_that_answer_alike_leave_nothing_to_show() -> None:
    alike = np.ones((3, 5))
    found = compare_scores(alike, alike)
    assert (found.difference, found.error, found.p_value) == (0.0, 0.0, 1.0)
    assert found.interval == (0.0, 0.0)
    assert found.p_unequal(0.005) == 0.0


@pytest.mark.parametrize("shape", [(1, 5), (2, 1), (2, 6)])
def test_one_model_one_image_or_other_images_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="two or more models on the same two or more images"):
        compare_scores(np.ones(shape), np.ones((2, 5)))
