"""Your own dataset: four shapes, drawn with numpy, so it needs no files.

A dataset is a function under ``register_dataset`` that takes the data folder and returns
``ImageData``: uint8 images [N, C, H, W] and int64 labels [N], training and test. The decorator
gives what is known without loading them (shape, classes, counts), for `searchlab data list` and the
checks before a study. A dataset with files names them in ``files``, relative to the data folder;
see searchlab/data/usps.py for one that can be fetched.

Draw from generators with fixed seeds: `searchlab study resume` refuses images that differ between
two calls.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchlab.data import ImageData
from searchlab.data.registry import register_dataset

SIDE = 16
NUM_CLASSES = 4  # square, disc, cross, ring
NUM_TRAIN = 1_200
NUM_TEST = 400


@register_dataset(
    name="shapes",
    image_shape=(1, SIDE, SIDE),
    num_classes=NUM_CLASSES,
    num_train=NUM_TRAIN,
    num_test=NUM_TEST,
    summary="squares, discs, crosses and rings in noise, drawn when loaded",
)
def load_shapes(_root: Path) -> ImageData:
    """Draw the shapes; the data folder is not read."""
    train_images, train_labels = _draw_images(NUM_TRAIN, seed=1)
    test_images, test_labels = _draw_images(NUM_TEST, seed=2)
    return ImageData(
        name="shapes",
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        num_classes=NUM_CLASSES,
    )


def _draw_images(count: int, *, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images [count, 1, SIDE, SIDE] and their labels, equally many of each class."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(count, dtype=np.int64) % NUM_CLASSES)
    masks = np.stack([_draw_mask(int(label), generator) for label in labels])
    noise = generator.normal(scale=60, size=masks.shape)
    images = np.clip(60 + 100 * masks + noise, 0, 255).astype(np.uint8)
    return images[:, None], labels


def _draw_mask(label: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    radius = int(generator.integers(3, 6))
    row, column = generator.integers(radius, SIDE - radius, size=2)
    down, right = np.mgrid[:SIDE, :SIDE]
    down, right = np.abs(down - row), np.abs(right - column)
    distance = np.hypot(down, right)
    inside = np.maximum(down, right) <= radius
    shapes = (
        inside,
        distance <= radius,
        inside & (np.minimum(down, right) == 0),
        (distance <= radius) & (distance > radius - 2),
    )
    return shapes[label]
