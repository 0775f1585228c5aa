"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747), read with torchvision."""

from __future__ import annotations

from pathlib import Path

from searchlab.data.files import reading
from searchlab.data.image_data import ImageData, Images, Labels
from searchlab.data.registry import register_dataset

__all__ = ["load_fashion_mnist"]

_NAME = "fashion_mnist"
_NUM_TRAIN, _NUM_TEST = 60_000, 10_000
_SIDE = 28
_NUM_CLASSES = 10
_FILES = tuple(
    f"FashionMNIST/raw/{part}-{content}"
    for part in ("train", "t10k")
    for content in ("images-idx3-ubyte", "labels-idx1-ubyte")
)


def _download(folder: Path) -> None:
    from torchvision.datasets import FashionMNIST

    FashionMNIST(folder, download=True)


@register_dataset(
    name=_NAME,
    image_shape=(1, _SIDE, _SIDE),
    num_classes=_NUM_CLASSES,
    num_train=_NUM_TRAIN,
    num_test=_NUM_TEST,
    summary="clothes in grey, ten kinds (Zalando)",
    files=_FILES,
    archives=tuple(f"{file}.gz" for file in _FILES),
    source="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    download=_download,
)
def load_fashion_mnist(root: Path) -> ImageData:
    """Load the images from torchvision's layout under ``root``.

    Raises ``InputError`` naming the file that is damaged.
    """
    train_images, train_labels, test_images, test_labels = _FILES
    return ImageData(
        name=_NAME,
        train_images=_read_images(root, train_images, _NUM_TRAIN),
        train_labels=_read_labels(root, train_labels, _NUM_TRAIN),
        test_images=_read_images(root, test_images, _NUM_TEST),
        test_labels=_read_labels(root, test_labels, _NUM_TEST),
        num_classes=_NUM_CLASSES,
    )


# File by file rather than through the FashionMNIST class, so that an error can name the file.
def _read_images(root: Path, file: str, count: int) -> Images:
    from torchvision.datasets.mnist import read_image_file

    with reading(root / file, name=_NAME, root=root):
        images: Images = read_image_file(str(root / file)).numpy()
        if images.shape != (count, _SIDE, _SIDE):
            raise ValueError(f"{count} images of {_SIDE}x{_SIDE} expected, found {images.shape}")
    return images[:, None]


def _read_labels(root: Path, file: str, count: int) -> Labels:
    from torchvision.datasets.mnist import read_label_file

    with reading(root / file, name=_NAME, root=root):
        labels: Labels = read_label_file(str(root / file)).numpy()
        if labels.shape != (count,) or labels.max() >= _NUM_CLASSES:
            raise ValueError(f"{count} labels in 0..{_NUM_CLASSES - 1} expected")
    return labels
