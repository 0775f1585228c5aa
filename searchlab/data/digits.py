"""The digits that come with scikit-learn: 1,797 images of 8x8, for tests and first steps."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from searchlab.data.image_data import ImageData
from searchlab.data.registry import register_dataset
from searchlab.data.stratified import split_off_test

__all__ = ["load_digits"]

_NUM_TEST = 360
_MAX_VALUE = 16
# Part of the dataset's definition: another number would give another test set.
_SPLIT_SEED = 20_240_101


@register_dataset(
    name="digits",
    image_shape=(1, 8, 8),
    num_classes=10,
    num_train=1_437,
    num_test=_NUM_TEST,
    summary="handwritten digits, small enough for a first try; installed with scikit-learn",
    source="scikit-learn",
)
def load_digits(_root: Path) -> ImageData:
    """Load the digits, scaled from 0..16 to 0..255, in a fixed stratified 80/20 split.

    They come with scikit-learn; the data folder is not read.
    """
    # The last column is the label.
    table = np.loadtxt(_find_table(), delimiter=",").astype(np.int64)
    scaled = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / _MAX_VALUE))
    images, labels = scaled.astype(np.uint8)[:, None], table[:, -1]
    train, test = split_off_test(labels, num_test=_NUM_TEST, seed=_SPLIT_SEED)
    return ImageData(
        name="digits",
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        num_classes=10,
    )


def _find_table() -> Path:
    """Return scikit-learn's file; importing scikit-learn to read it would take seconds."""
    package = find_spec("sklearn")
    assert package is not None, "a dependency"
    assert package.origin is not None
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
