"""What may be asked of which dataset, and what is known before it is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from picture_files import write_split_tree, write_tree

from searchlab.data import DatasetFacts, DatasetRequest, decoding, describe_dataset, load_dataset
from searchlab.errors import InputError

FOLDER = DatasetRequest(name="folder", root=Path("pictures"), size=16)
USPS = DatasetRequest(name="usps")
IMAGENETTE = DatasetRequest(name="imagenette")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (replace(USPS, size=32), r"dataset\.size cannot be chosen for usps, .* 16x16, got 32\. Om"),
        (replace(USPS, root=Path("x")), r"dataset\.root is only for your own .*; usps .* 'x'"),
        (
            replace(USPS, skip_broken=True),
            r"dataset\.skip_broken is only for datasets of image files",
        ),
        (replace(USPS, fit="pad"), r"dataset\.fit is only for datasets of image files.*got 'pad'"),
        (replace(USPS, limit=0), r"dataset\.limit must be at least 1, got 0"),
        (replace(IMAGENETTE, root=Path("x")), r"dataset\.root is only for your own images"),
        (replace(IMAGENETTE, size=7), r"dataset\.size must be in 8\.\.1024, got 7"),
        (replace(FOLDER, root=None), r"dataset\.root is required with dataset folder\. Give"),
        (replace(FOLDER, size=None), r"dataset\.size is required with dataset folder\. Give"),
        (FOLDER, r"dataset\.root must be an existing folder, got '.*/pictures'"),
        (replace(USPS, name="usp"), r"dataset\.name must be a known dataset.*mean usps"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_read(
    request_: DatasetRequest, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for act in (describe_dataset, load_dataset):
        with pytest.raises(InputError, match=message):
            act(request_, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("searchlab.data.huggingface.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'searchlab\[huggingface\]'"):
        load_dataset(DatasetRequest(name="huggingface", root=tmp_path, size=8), tmp_path)


def test_named_datasets_are_described_without_being_there(tmp_path: Path) -> None:
    assert describe_dataset("usps", tmp_path) == DatasetFacts(
        image_shape=(1, 16, 16), num_classes=10
    )
    assert describe_dataset("imagenette", tmp_path).image_shape == (3, 160, 160)
    smaller = describe_dataset(replace(IMAGENETTE, size=64), tmp_path)
    assert (smaller.image_shape, smaller.num_classes) == ((3, 64, 64), 10)


def test_a_folder_is_described_without_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, size: int) -> np.ndarray:
        raise AssertionError(path)

    monkeypatch.setattr(decoding, "decode_image", refuse)
    request = replace(FOLDER, root=write_split_tree(tmp_path))
    assert describe_dataset(request, tmp_path / "data") == DatasetFacts(
        image_shape=(3, 16, 16), num_classes=3, class_names=("ant", "bee", "cat")
    )


def test_a_folder_loads_as_it_was_described(tmp_path: Path) -> None:
    request = replace(FOLDER, root=write_tree(tmp_path / "pictures", per_class=5))
    facts = describe_dataset(request, tmp_path / "data")
    data = load_dataset(request, tmp_path / "data")
    assert (data.image_shape, data.num_classes) == (facts.image_shape, facts.num_classes)
    assert (data.name, data.num_skipped) == ("folder", 0)
    assert np.bincount(data.train_labels).tolist() == [4, 4, 4]
    assert np.bincount(data.test_labels).tolist() == [1, 1, 1]


def test_a_missing_imagenette_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"imagenette2-160/train and 1 more not found\. Run: sear"):
        load_dataset("imagenette", tmp_path)


def test_an_imagenette_of_other_classes_is_refused(tmp_path: Path) -> None:
    write_split_tree(tmp_path / "imagenette2-160", test="val")
    with pytest.raises(InputError, match=r"imagenette2-160 must have 10 class folders, got 3"):
        load_dataset("imagenette", tmp_path)


class TestLimit:
    @pytest.mark.parametrize("limit", [10, 101, 1_000])
    def test_classes_keep_their_shares_and_the_test_set_stays_whole(
        self, limit: int, tmp_path: Path
    ) -> None:
        whole = load_dataset("digits", tmp_path)
        data = load_dataset(DatasetRequest(name="digits", limit=limit), tmp_path)
        assert len(data.train_labels) == len(data.train_images) == limit
        counts, all_counts = np.bincount(data.train_labels), np.bincount(whole.train_labels)
        assert np.abs(counts - all_counts * limit / all_counts.sum()).max() <= 1
        assert np.array_equal(data.test_images, whole.test_images)

    def test_images_keep_their_labels_and_none_is_taken_twice(self, tmp_path: Path) -> None:
        whole = load_dataset("digits", tmp_path)
        data = load_dataset(DatasetRequest(name="digits", limit=300), tmp_path)
        known: dict[bytes, list[int]] = {}
        for image, label in zip(whole.train_images, whole.train_labels.tolist(), strict=True):
            known.setdefault(image.tobytes(), []).append(label)
        for image, label in zip(data.train_images, data.train_labels.tolist(), strict=True):
            known[image.tobytes()].remove(label)

    def test_it_is_the_same_each_time_and_not_the_first_images(self, tmp_path: Path) -> None:
        request = DatasetRequest(name="digits", limit=200)
        first, second = (load_dataset(request, tmp_path) for _ in range(2))
        assert first.fingerprint() == second.fingerprint()
        whole = load_dataset("digits", tmp_path)
        assert not np.array_equal(first.train_images, whole.train_images[:200])

    def test_a_rare_class_keeps_an_image(self, tmp_path: Path) -> None:
        whole = load_dataset("digits", tmp_path)
        rare = np.flatnonzero((whole.train_labels != 3) | (np.cumsum(whole.train_labels == 3) <= 1))
        lopsided = replace(
            whole, train_images=whole.train_images[rare], train_labels=whole.train_labels[rare]
        )
        from searchlab.data.subset import limit_training

        counts = np.bincount(limit_training(lopsided, 20).train_labels)
        assert counts.sum() == 20
        assert counts.min() == counts[3] == 1

    def test_as_many_as_there_are_or_more_are_all(self, tmp_path: Path) -> None:
        whole = load_dataset("digits", tmp_path)
        for limit in (1_437, 99_999):
            data = load_dataset(DatasetRequest(name="digits", limit=limit), tmp_path)
            assert data.fingerprint() == whole.fingerprint()

    def test_fewer_than_the_classes_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            InputError, match=r"dataset\.limit must be at least one image per class"
        ):
            load_dataset(DatasetRequest(name="digits", limit=9), tmp_path)


@pytest.mark.slow
def test_real_imagenette_is_what_torchvision_gives(real_root: Path, tmp_path: Path) -> None:
    from torchvision.datasets import Imagenette
    from torchvision.transforms import CenterCrop, Compose, Resize

    (tmp_path / "imagenette2-160").symlink_to(real_root / "imagenette2-160")
    data = load_dataset(replace(IMAGENETTE, size=48), tmp_path)
    shrink = Compose([Resize(48), CenterCrop(48)])
    reference = Imagenette(real_root, split="val", size="160px", transform=shrink)
    assert len(data.test_labels) == len(reference)
    for index in (0, 123, len(reference) - 1):
        image, label = reference[index]
        assert np.array_equal(data.test_images[index], np.asarray(image).transpose(2, 0, 1))
        assert data.test_labels[index] == label
