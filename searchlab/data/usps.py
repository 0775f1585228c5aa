"""USPS digits (Hull 1994, doi:10.1109/34.291440), read with torchvision."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from searchlab.data.files import reading
from searchlab.data.image_data import ImageData, Images, Labels
from searchlab.data.registry import register_dataset

__all__ = ["load_usps"]

_NAME = "usps"
_TRAIN_FILE, _TEST_FILE = "usps.bz2", "usps.t.bz2"
_NUM_TRAIN, _NUM_TEST = 7_291, 2_007
_NUM_CLASSES = 10


def _download(folder: Path) -> None:
    from torchvision.datasets import USPS

    USPS(folder, train=True, download=True)
    USPS(folder, train=False, download=True)


@register_dataset(
    name=_NAME,
    image_shape=(1, 16, 16),
    num_classes=_NUM_CLASSES,
    num_train=_NUM_TRAIN,
    num_test=_NUM_TEST,
    summary="handwritten digits from envelopes",
    files=(_TRAIN_FILE, _TEST_FILE),
    source="https://www.csie.ntu.edu.tw",
    download=_download,
)
def load_usps(root: Path) -> ImageData:
    """Load the images, scaled from -1..1 to 0..255, from torchvision's layout under ``root``.

    Raises ``InputError`` naming a damaged file.
    """
    train_images, train_labels = _read_part(root, _TRAIN_FILE, _NUM_TRAIN, train=True)
    test_images, test_labels = _read_part(root, _TEST_FILE, _NUM_TEST, train=False)
    return ImageData(
        name=_NAME,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        num_classes=_NUM_CLASSES,
    )


def _read_part(root: Path, file: str, count: int, *, train: bool) -> tuple[Images, Labels]:
    from torchvision.datasets import USPS

    with reading(root / file, name=_NAME, root=root):
        part = USPS(root, train=train, download=False)
        images: Images = part.data
        labels = np.asarray(part.targets, dtype=np.int64)
        if len(images) != count or len(labels) != count:
            raise ValueError(f"{count} images expected, found {len(images)}")
        if labels.min() < 0 or labels.max() >= _NUM_CLASSES:
            raise ValueError(f"labels in 1..{_NUM_CLASSES} expected")
    return images[:, None], labels
