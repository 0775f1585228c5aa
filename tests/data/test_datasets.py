"""The contract of every registered dataset, and what is special about each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchlab.data import ImageData, get_dataset, list_datasets, load_dataset
from searchlab.data.registry import register_dataset
from searchlab.errors import InputError


def test_the_datasets_are_listed_in_order() -> None:
    assert list_datasets() == (
        "arrays", "caltech101", "caltech256", "cifar10", "cifar100", "clevr", "country211",
        "digits", "dtd", "emnist_balanced", "emnist_byclass", "emnist_bymerge", "emnist_digits",
        "emnist_letters", "eurosat", "fashion_mnist", "fer2013", "fgvc_aircraft", "flowers102",
        "folder", "food101", "gtsrb", "huggingface", "imagenette", "inaturalist", "kmnist", "mnist",
        "omniglot", "oxford_iiit_pet", "pcam", "places365", "qmnist", "rendered_sst2", "semeion",
        "stanford_cars", "stl10", "sun397", "svhn", "table", "usps",
    )  # fmt: skip


def test_listing_imports_neither_torch_nor_torchvision_nor_sklearn() -> None:
    script = (
        "import sys, searchlab.data as data; assert data.list_datasets(); "
        "heavy = {'torch', 'torchvision', 'sklearn'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_second_dataset_of_one_name_is_refused() -> None:
    register = register_dataset(
        name="digits", image_shape=(1, 1, 1), num_classes=2, num_train=1, num_test=1, summary=""
    )
    with pytest.raises(ValueError, match="'digits' is already registered"):
        register(get_dataset("usps").load)
    assert get_dataset("digits").num_train == 1_437


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"got 'fashion-mnist'\. Did you mean fashion_mnist or mnist\?"
    ):
        get_dataset("fashion-mnist")


@pytest.mark.parametrize("name", ["digits", "fashion_mnist", "kmnist", "mnist", "usps"])
def test_loaded_data_is_what_the_registry_says(name: str, blank_root: Path) -> None:
    dataset = get_dataset(name)
    assert dataset.is_present(blank_root)
    data = load_dataset(name, blank_root)
    assert data.name == dataset.name == name
    assert data.image_shape == dataset.image_shape
    assert data.num_classes == dataset.num_classes
    assert len(data.train_images) == dataset.num_train
    assert len(data.test_images) == dataset.num_test
    for labels in (data.train_labels, data.test_labels):
        assert set(labels.tolist()) == set(range(dataset.num_classes))


@pytest.mark.parametrize("name", list_datasets())
def test_every_dataset_has_a_summary_of_one_line_and_a_source(name: str) -> None:
    dataset = get_dataset(name)
    assert dataset.summary
    assert "\n" not in dataset.summary
    assert dataset.source or dataset.root_is
    by_hand = name in {"fer2013", "stanford_cars"}
    assert dataset.downloadable == (bool(dataset.files) and not by_hand)


def test_the_folder_dataset_has_no_shape_of_its_own() -> None:
    with pytest.raises(InputError, match="dataset folder has no fixed shape or classes"):
        _ = get_dataset("folder").image_shape


def test_a_loader_that_gives_other_images_than_registered_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("searchlab.data.registry._DATASETS", {})

    @register_dataset(name="blobs", image_shape=(1, 6, 6), num_classes=3, summary="three blobs")
    def load_blobs(_root: Path) -> ImageData:
        images, labels = np.zeros((6, 1, 8, 8), np.uint8), np.arange(6) % 3
        return ImageData(
            name="blobs", train_images=images, train_labels=labels, test_images=images,
            test_labels=labels, num_classes=3,
        )  # fmt: skip

    assert (get_dataset("blobs").image_shape, get_dataset("blobs").num_train) == ((1, 6, 6), None)
    with pytest.raises(InputError, match=r"image_shape .* \(1, 6, 6\), got \(1, 8, 8\)"):
        load_dataset("blobs", tmp_path)


def test_digits_fill_the_grey_levels_without_any_file(tmp_path: Path) -> None:
    data = load_dataset("digits", tmp_path / "nowhere")
    assert (data.train_images.min(), data.train_images.max()) == (0, 255)
    assert len(np.unique(data.train_images)) == 17


def test_digits_are_split_by_class_without_overlap(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    data = load_dataset("digits", tmp_path)
    test_counts = np.bincount(data.test_labels)
    counts = np.bincount(data.train_labels) + test_counts
    assert counts.tolist() == np.bincount(load_digits().target).tolist()
    assert np.abs(test_counts - counts * 360 / 1_797).max() < 1
    rebuilt = np.concatenate([data.train_images, data.test_images]).astype(np.float64)
    original = np.rint(load_digits().images * 255 / 16)
    assert sorted(image.tobytes() for image in rebuilt[:, 0]) == sorted(
        image.tobytes() for image in original
    )


def test_digits_are_split_the_same_each_time(tmp_path: Path) -> None:
    first, second = (load_dataset("digits", tmp_path) for _ in range(2))
    assert first.fingerprint() == second.fingerprint()


def check_against(data: ImageData, reference: Any) -> None:
    """Compare some images with those that torchvision gives one by one."""
    for index in (0, 7, len(reference) - 1):
        image, label = reference[index]
        assert np.array_equal(data.test_images[index, 0], np.asarray(image))
        assert data.test_labels[index] == label


def test_real_fashion_mnist_is_balanced_and_has_the_known_mean_and_images(real_root: Path) -> None:
    from torchvision.datasets import FashionMNIST

    data = load_dataset("fashion_mnist", real_root)
    assert np.bincount(data.train_labels).tolist() == [6_000] * 10
    assert np.bincount(data.test_labels).tolist() == [1_000] * 10
    assert data.train_images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
    assert data.train_images.std() / 255 == pytest.approx(0.3530, abs=1e-4)
    check_against(data, FashionMNIST(real_root, train=False))


@pytest.mark.slow
def test_real_usps_has_its_known_class_counts_full_range_and_images(real_root: Path) -> None:
    from torchvision.datasets import USPS

    data = load_dataset("usps", real_root)
    known_train = [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    known_test = [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]
    assert np.bincount(data.train_labels).tolist() == known_train
    assert np.bincount(data.test_labels).tolist() == known_test
    assert (data.train_images.min(), data.train_images.max()) == (0, 255)
    check_against(data, USPS(real_root, train=False))
