"""CIFAR: pixels and labels in their order, and no byte unpickled that was not published."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from searchlab.data import get_dataset, load_dataset
from searchlab.errors import InputError

_TEN = "cifar-10-batches-py"
_HUNDRED = "cifar-100-python"


def write_batch(file: Path, images: np.ndarray, labels: list[int], key: str) -> list[str]:
    """Write a batch as published; return its name and MD5, as torchvision lists them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = pickle.dumps({"data": images.reshape(len(images), 3072), key: labels}, protocol=2)
    file.write_bytes(content)
    return [file.name, hashlib.md5(content).hexdigest()]


def make_images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


@pytest.fixture
def cifar_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    ten = [
        write_batch(
            tmp_path / _TEN / f"data_batch_{part}", make_images(2, part), [part, 9], "labels"
        )
        for part in range(1, 6)
    ]
    ten_test = [write_batch(tmp_path / _TEN / "test_batch", make_images(2, 6), [0, 1], "labels")]
    (tmp_path / _TEN / "batches.meta").touch()
    hundred = [
        write_batch(tmp_path / _HUNDRED / "train", make_images(3, 7), [99, 0, 50], "fine_labels")
    ]
    hundred_test = [
        write_batch(tmp_path / _HUNDRED / "test", make_images(1, 8), [42], "fine_labels")
    ]
    (tmp_path / _HUNDRED / "meta").touch()
    monkeypatch.setattr("torchvision.datasets.CIFAR10.train_list", ten)
    monkeypatch.setattr("torchvision.datasets.CIFAR10.test_list", ten_test)
    monkeypatch.setattr("torchvision.datasets.CIFAR100.train_list", hundred)
    monkeypatch.setattr("torchvision.datasets.CIFAR100.test_list", hundred_test)
    return tmp_path


def test_cifar10_joins_its_batches_in_order(cifar_root: Path) -> None:
    data = load_dataset("cifar10", cifar_root)
    assert data.image_shape == (3, 32, 32)
    assert data.train_labels.tolist() == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]
    assert np.array_equal(data.train_images[4:6], make_images(2, 3))
    assert np.array_equal(data.test_images, make_images(2, 6))


def test_cifar100_has_its_fine_labels(cifar_root: Path) -> None:
    data = load_dataset("cifar100", cifar_root)
    assert data.num_classes == 100
    assert data.train_labels.tolist() == [99, 0, 50]
    assert data.test_labels.tolist() == [42]


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_files_looked_for_are_those_of_torchvision(name: str) -> None:
    from torchvision import datasets

    known = getattr(datasets, name.upper())
    batches = [file for file, _ in (*known.train_list, *known.test_list)]
    expected = {f"{known.base_folder}/{file}" for file in (*batches, known.meta["filename"])}
    assert set(get_dataset(name).files) == expected
    assert get_dataset(name).archives == (known.filename,)


@pytest.mark.parametrize(
    ("name", "file"), [("cifar10", f"{_TEN}/test_batch"), ("cifar100", f"{_HUNDRED}/train")]
)
def test_a_strangers_pickle_is_refused_before_it_runs(
    name: str, file: str, cifar_root: Path
) -> None:
    marker = cifar_root / "it ran"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (marker,)

    (cifar_root / file).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(
        InputError, match=r"is damaged, or is not a file of .* \(its MD5 is \w{32}, not"
    ):
        load_dataset(name, cifar_root)
    assert not marker.exists()
    pickle.loads((cifar_root / file).read_bytes())
    assert marker.exists(), "the pickle would have run"
