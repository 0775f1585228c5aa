"""MNIST and two datasets of the same format."""

from __future__ import annotations

from pathlib import Path

from searchlab.data.idx import NUM_CLASSES, NUM_TEST, NUM_TRAIN, SIDE, list_idx_files, load_idx
from searchlab.data.image_data import ImageData
from searchlab.data.registry import register_dataset

__all__: list[str] = []


def _register(
    name: str, folder: str, *, summary: str, source: str, class_names: tuple[str, ...] = ()
) -> None:
    """Register the dataset in ``folder``, which is also the name of torchvision's class."""

    def download(root: Path) -> None:
        from torchvision import datasets

        getattr(datasets, folder)(root, download=True)

    def load(root: Path) -> ImageData:
        return load_idx(name, folder, root)

    files = list_idx_files(folder)
    register_dataset(
        name=name,
        image_shape=(1, SIDE, SIDE),
        num_classes=NUM_CLASSES,
        class_names=class_names,
        num_train=NUM_TRAIN,
        num_test=NUM_TEST,
        summary=summary,
        files=files,
        archives=tuple(f"{file}.gz" for file in files),
        source=source,
        download=download,
    )(load)


# LeCun, Cortes, Burges 1998
_register(
    "mnist",
    "MNIST",
    summary="handwritten digits",
    source="https://ossci-datasets.s3.amazonaws.com/mnist",
)
# Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747
_register(
    "fashion_mnist",
    "FashionMNIST",
    class_names=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ),
    summary="clothes in grey, ten classes (Zalando)",
    source="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
)  # fmt: skip
# Clanuwat et al. 2018, arXiv:1812.01718
_register(
    "kmnist",
    "KMNIST",
    summary="cursive Japanese characters (Kuzushiji), ten classes",
    source="http://codh.rois.ac.jp/kmnist",
)
