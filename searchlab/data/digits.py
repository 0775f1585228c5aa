"""The digits that come with scikit-learn: 1,797 images of 8x8, for tests and first steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from searchlab.data.image_data import ImageData
from searchlab.data.registry import register_dataset

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
    from sklearn.datasets import load_digits as load_bunch
    from sklearn.model_selection import train_test_split

    bunch = load_bunch()
    images = np.rint(bunch.images * (255 / _MAX_VALUE)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=_NUM_TEST, stratify=labels, random_state=_SPLIT_SEED
    )
    return ImageData(
        name="digits",
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        num_classes=10,
    )
