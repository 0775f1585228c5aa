"""What a study says of its images beforehand: classes of which there are few."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from searchlab.config.metrics import list_metrics
from searchlab.config.study import StudySpec
from searchlab.data import ImageData

__all__ = ["image_warnings"]

_LARGEST_RATIO = 10
"""Of the images of the largest class to those of the smallest, without a warning."""


def image_warnings(spec: StudySpec, images: ImageData) -> Iterator[str]:
    """Yield why accuracy says little, if a class has far fewer training images than another."""
    counts = np.bincount(images.train_labels, minlength=images.num_classes)
    smallest, largest = int(counts.argmin()), int(counts.argmax())
    if counts[largest] <= _LARGEST_RATIO * counts[smallest]:
        return
    if spec.primary.entry.is_of_classes:
        return
    fair = " or ".join(metric.name for metric in list_metrics() if metric.is_of_classes)
    yield (
        f"class {_name(images, largest)} has {counts[largest]:,} training images and class "
        f"{_name(images, smallest)} {counts[smallest]:,}, so {spec.primary.metric} hardly shows "
        f"how well a model knows the rare ones: consider {fair} as objective.metric, and "
        "training.class_weights=balanced"
    )


def _name(images: ImageData, label: int) -> str:
    return images.class_names[label] if images.class_names else str(label)
