"""What is said of classes that have far fewer images than others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from searchlab.config.study import StudySpec
from searchlab.data import ImageData, stratified_folds
from searchlab.study.preparation.image_warnings import image_warnings


def draw(*counts: int, names: tuple[str, ...] = ()) -> ImageData:
    """Return so many training images of each class, no two of them alike."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(0).integers(0, 256, (2, len(labels), 1, 8, 8), dtype=np.uint8)
    return ImageData(
        name="folder", train_images=images[0], train_labels=labels, test_images=images[1],
        test_labels=labels, num_classes=len(counts), class_names=names,
    )  # fmt: skip


def warn(spec: StudySpec, images: ImageData, num_folds: int = 2) -> list[str]:
    folds = stratified_folds(images.train_labels, num_folds=num_folds, seed=0)
    return list(image_warnings(spec, images, folds))


def study(**objective: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "s",
            "dataset": {"name": "folder"},
            "space": {"name": "s", "parameters": {"lr": [0.1, 0.01], "family": {"fcn": {}}}},
            "search": {"trials": 1},
            "objective": objective or {"metric": "accuracy"},
        }
    )


def test_a_rare_class_is_named_with_what_to_do() -> None:
    [warning] = warn(study(), draw(95, 5, 40, names=("cat", "yak", "dog")))
    assert warning.startswith("class cat has 95 training images and class yak 5, so accuracy")
    assert "balanced_accuracy or macro_f1 as objective.metric" in warning
    assert "training.class_weights=balanced" in warning


def test_classes_without_names_have_their_numbers() -> None:
    [warning] = warn(study(metric="loss", direction="minimize"), draw(3, 90))
    assert warning.startswith("class 1 has 90 training images and class 0 3, so loss")


@pytest.mark.parametrize("counts", [(50, 5), (10, 10, 9)])
def test_even_classes_are_no_news(counts: tuple[int, ...]) -> None:
    assert warn(study(), draw(*counts)) == []


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_a_metric_that_weighs_classes_alike_needs_no_warning(metric: str) -> None:
    assert warn(study(metric=metric), draw(95, 5)) == []


def test_classes_of_fewer_images_than_folds_are_named() -> None:
    images = draw(20, 3, 30, 4, names=("cat", "yak", "dog", "gnu"))
    [warning] = warn(study(metric="macro_f1"), images, num_folds=5)
    assert warning.startswith(
        "class yak and 1 more have fewer training images (3) than there are folds (5)"
    )
    assert warn(study(metric="macro_f1"), images, num_folds=3) == []


def test_a_test_image_that_is_trained_on_is_named() -> None:
    images = draw(20, 20)
    images.test_images[7] = images.train_images[30]
    images.test_images[9] = images.train_images[30]
    [warning] = warn(study(), images)
    assert warning.startswith("2 of 40 test images are training images too, pixel for pixel")
    assert "(test image 7 is training image 30)" in warning
    named = replace(images, train_files=tuple(f"{n}.png" for n in range(40)))
    assert "(test image 7 is 30.png)" in warn(study(), named)[0]


def test_copies_in_several_folds_are_counted_and_those_in_one_are_not() -> None:
    images = draw(20, 20)
    images.train_images[5] = images.train_images[2]
    tens = np.arange(40) % 20 < 10
    together = (np.flatnonzero(tens), np.flatnonzero(~tens))
    apart = (np.arange(0, 40, 2), np.arange(1, 40, 2))
    assert list(image_warnings(study(), images, together)) == []
    [warning] = image_warnings(study(), images, apart)
    assert warning.startswith("2 training images are in several folds, pixel for pixel")
    assert "(training image 2 is training image 5)" in warning
