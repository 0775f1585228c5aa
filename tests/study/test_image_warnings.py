"""What is said of classes that have far fewer images than others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from searchlab.config.study import StudySpec
from searchlab.data import ImageData
from searchlab.study.preparation.image_warnings import image_warnings


def draw(*counts: int, names: tuple[str, ...] = ()) -> ImageData:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((len(labels), 1, 8, 8), dtype=np.uint8)
    return ImageData(
        name="folder", train_images=images, train_labels=labels, test_images=images,
        test_labels=labels, num_classes=len(counts), class_names=names,
    )  # fmt: skip


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
    [warning] = image_warnings(study(), draw(95, 5, 40, names=("cat", "yak", "dog")))
    assert warning.startswith("class cat has 95 training images and class yak 5, so accuracy")
    assert "balanced_accuracy or macro_f1 as objective.metric" in warning
    assert "training.class_weights=balanced" in warning


def test_classes_without_names_have_their_numbers() -> None:
    [warning] = image_warnings(study(metric="loss", direction="minimize"), draw(3, 90))
    assert warning.startswith("class 1 has 90 training images and class 0 3, so loss")


@pytest.mark.parametrize("counts", [(50, 5), (10, 10, 9)])
def test_even_classes_are_no_news(counts: tuple[int, ...]) -> None:
    assert list(image_warnings(study(), draw(*counts))) == []


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_a_metric_that_weighs_classes_alike_needs_no_warning(metric: str) -> None:
    assert list(image_warnings(study(metric=metric), draw(95, 5))) == []
