"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 32x32 colour photographs, in torchvision's layout."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np

from searchlab.data.files import reading
from searchlab.data.image_data import ImageData, Images, Labels
from searchlab.data.registry import register_dataset

__all__: list[str] = []

_SOURCE = "https://www.cs.toronto.edu/~kriz"


def _register(
    name: str,
    kind: str,
    *,
    folder: str,
    files: tuple[str, ...],
    archive: str,
    num_classes: int,
    summary: str,
) -> None:
    """Register the dataset in ``folder``; ``kind`` is torchvision's class, which has the MD5s."""

    def download(root: Path) -> None:
        from torchvision import datasets

        getattr(datasets, kind)(root, download=True)

    def load(root: Path) -> ImageData:
        from torchvision import datasets

        known = getattr(datasets, kind)
        train_images, train_labels = _read_batches(root, folder, known.train_list, name=name)
        test_images, test_labels = _read_batches(root, folder, known.test_list, name=name)
        return ImageData(
            name=name,
            train_images=train_images,
            train_labels=train_labels,
            test_images=test_images,
            test_labels=test_labels,
            num_classes=num_classes,
        )

    register_dataset(
        name=name,
        image_shape=(3, 32, 32),
        num_classes=num_classes,
        num_train=50_000,
        num_test=10_000,
        summary=summary,
        files=tuple(f"{folder}/{file}" for file in files),
        archives=(archive,),
        source=_SOURCE,
        download=download,
    )(load)


def _read_batches(
    root: Path, folder: str, batches: list[list[str]], *, name: str
) -> tuple[Images, Labels]:
    parts = [_read_batch(root / folder / file, md5, root, name) for file, md5 in batches]
    return (
        np.concatenate([images for images, _ in parts]),
        np.concatenate([labels for _, labels in parts]),
    )


def _read_batch(file: Path, md5: str, root: Path, name: str) -> tuple[Images, Labels]:
    with reading(file, name=name, root=root):
        content = file.read_bytes()
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        # Unpickling runs code from the file, so only the published bytes are unpickled.
        if found != md5:
            raise ValueError(f"its MD5 is {found}, not {md5}")
        batch = pickle.loads(content, encoding="latin1")
        images = batch["data"].reshape(-1, 3, 32, 32)
        labels = batch["labels"] if "labels" in batch else batch["fine_labels"]
    return images, np.asarray(labels, dtype=np.int64)


_register(
    "cifar10",
    "CIFAR10",
    folder="cifar-10-batches-py",
    files=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
    archive="cifar-10-python.tar.gz",
    num_classes=10,
    summary="small colour photographs, ten classes",
)
_register(
    "cifar100",
    "CIFAR100",
    folder="cifar-100-python",
    files=("train", "test", "meta"),
    archive="cifar-100-python.tar.gz",
    num_classes=100,
    summary="small colour photographs, a hundred classes",
)
