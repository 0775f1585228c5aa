"""The idx files of MNIST and similar datasets, read with torchvision: 28x28 grey, ten classes."""

from __future__ import annotations

from pathlib import Path

from searchlab.data.files import reading
from searchlab.data.image_data import ImageData, Images, Labels

__all__ = ["NUM_CLASSES", "NUM_TEST", "NUM_TRAIN", "SIDE", "list_idx_files", "load_idx"]

NUM_TRAIN, NUM_TEST = 60_000, 10_000
SIDE = 28
NUM_CLASSES = 10


def list_idx_files(folder: str) -> tuple[str, str, str, str]:
    """Return the four files of torchvision's layout: training images and labels, then test."""
    raw = f"{folder}/raw"
    return (
        f"{raw}/train-images-idx3-ubyte",
        f"{raw}/train-labels-idx1-ubyte",
        f"{raw}/t10k-images-idx3-ubyte",
        f"{raw}/t10k-labels-idx1-ubyte",
    )


def load_idx(name: str, folder: str, root: Path) -> ImageData:
    """Load dataset ``name`` from ``root/folder/raw``.

    Raises ``InputError`` naming a damaged file.
    """
    train_images, train_labels, test_images, test_labels = list_idx_files(folder)
    return ImageData(
        name=name,
        train_images=_read_images(root, train_images, NUM_TRAIN, name=name),
        train_labels=_read_labels(root, train_labels, NUM_TRAIN, name=name),
        test_images=_read_images(root, test_images, NUM_TEST, name=name),
        test_labels=_read_labels(root, test_labels, NUM_TEST, name=name),
        num_classes=NUM_CLASSES,
    )


# File by file, not through torchvision's dataset classes, so that an error can name the file.
def _read_images(root: Path, file: str, count: int, *, name: str) -> Images:
    from torchvision.datasets.mnist import read_image_file

    with reading(root / file, name=name, root=root):
        images: Images = read_image_file(str(root / file)).numpy()
        if images.shape != (count, SIDE, SIDE):
            raise ValueError(f"{count} images of {SIDE}x{SIDE} expected, found {images.shape}")
    return images[:, None]


def _read_labels(root: Path, file: str, count: int, *, name: str) -> Labels:
    from torchvision.datasets.mnist import read_label_file

    with reading(root / file, name=name, root=root):
        labels: Labels = read_label_file(str(root / file)).numpy()
        if labels.shape != (count,) or labels.max() >= NUM_CLASSES:
            raise ValueError(f"{count} labels in 0..{NUM_CLASSES - 1} expected")
    return labels
