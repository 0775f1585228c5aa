"""Images in a NumPy archive: names, places of the channels, ranges, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from searchlab.data import DatasetRequest, describe_dataset, load_dataset
from searchlab.data.array_file import read_array_images
from searchlab.data.image_data import ImageData
from searchlab.errors import InputError

RNG = np.random.default_rng(0)
LABELS = np.arange(20) % 2


def draw(*shape: int, dtype: str = "uint8", high: int = 256) -> NDArray[Any]:
    return RNG.integers(0, high, shape).astype(dtype)


def load(folder: Path, **arrays: Any) -> ImageData:
    np.savez(folder / "mine.npz", **arrays)
    return load_dataset(DatasetRequest(name="arrays", root=folder / "mine.npz"), folder)


def split(images: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {
        "train_images": images[:16],
        "train_labels": LABELS[:16],
        "test_images": images[16:],
        "test_labels": LABELS[16:],
    }


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((20, 9, 8), (1, 9, 8)),
        ((20, 9, 8, 4), (4, 9, 8)),
        ((20, 4, 9, 8), (4, 9, 8)),
        ((20, 9, 8, 1), (1, 9, 8)),
    ],
)
def test_channels_may_be_missing_first_or_last(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    images = draw(*shape)
    data = load(tmp_path, **split(images))
    assert data.image_shape == expected
    given = images.reshape(20, 9, 8, -1).transpose(0, 3, 1, 2) if shape[1] == 9 else images
    assert np.array_equal(data.train_images, given[:16])
    request = DatasetRequest(name="arrays", root=tmp_path / "mine.npz")
    assert describe_dataset(request, tmp_path).image_shape == expected


def test_keras_names_and_labels_of_any_kind(tmp_path: Path) -> None:
    images, names = draw(20, 8, 8), np.array(["dog", "cat"])[LABELS]
    data = load(
        tmp_path,
        x_train=images[:16],
        y_train=names[:16, None],
        x_test=images[16:],
        y_test=names[16:],
    )
    assert data.class_names == ("cat", "dog")
    assert data.test_labels.tolist() == [1, 0, 1, 0]


def test_a_fifth_of_each_class_becomes_the_test_set(tmp_path: Path) -> None:
    images = draw(20, 8, 8)
    data = load(tmp_path, images=images, labels=LABELS)
    again = load(tmp_path, images=images, labels=LABELS)
    assert data.fingerprint() == again.fingerprint()
    assert np.bincount(data.test_labels).tolist() == [2, 2]
    assert len(data.train_labels) == 16


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (draw(20, 8, 8, dtype="uint16", high=4096), None),
        (draw(20, 8, 8, dtype="float32", high=1000) / 1000 - 5, None),
        (draw(20, 8, 8, dtype="float64", high=200) / 255, (0.0, 1.0)),
        (draw(20, 8, 8, dtype="float64", high=256) / 1000 - 0.1, None),
        (draw(20, 8, 8, high=2).astype(bool), None),
        (np.full((20, 8, 8), 7, dtype="int32"), (7.0, 8.0)),
    ],
    ids=["12 bits", "negative floats", "floats in 0..1", "small floats", "bools", "constant"],
)
def test_other_values_are_scaled_by_their_range(
    tmp_path: Path, images: NDArray[Any], expected: tuple[float, float] | None
) -> None:
    data = load(tmp_path, **split(images))
    train = images[:16].astype(np.float64)
    low, high = expected or (train.min(), train.max())
    scaled = np.rint(((train - low) / (high - low) * 255).clip(0, 255))
    assert np.abs(data.train_images[:, 0] - scaled).max() <= 1
    if expected is None:
        assert (data.train_images.min(), data.train_images.max()) == (0, 255)


IMAGES = draw(20, 8, 8)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        (
            {"train_images": IMAGES[:16].reshape(-1)},
            r"train_images must be numbers of shape \[N, H",
        ),
        ({"train_images": draw(16, 40, 41, 42)}, "must have at most 32 channels"),
        ({"train_images": np.full((16, 8, 8), np.nan)}, "must hold finite numbers"),
        ({"train_labels": LABELS[:15]}, "must hold images and labels that fit"),
        ({"train_labels": LABELS[:16] / 2}, "must be one class for each image"),
        ({"test_labels": LABELS[16:] + 1}, r"classes of the training images only, got \[2\]"),
        ({"train_labels": LABELS[:16] * 0, "test_labels": LABELS[16:] * 0}, "two or more classes"),
        ({"test_images": draw(4, 9, 8)}, "must have one shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, NDArray[Any]], rule: str
) -> None:
    with pytest.raises(InputError, match=rule):
        load(tmp_path, **(split(IMAGES) | changes))


def test_images_to_predict_are_scaled_as_the_training_images_were(tmp_path: Path) -> None:
    images = draw(20, 8, 8, dtype="uint16", high=4096)
    data = load(tmp_path, **split(images))
    np.save(tmp_path / "new.npy", images[:16, :, :, None])
    found = read_array_images(
        tmp_path / "new.npy", shape=data.image_shape, value_range=data.value_range
    )
    assert np.array_equal(found, data.train_images)
    with pytest.raises(InputError, match=r"must hold images of shape \(3, 8, 8\)"):
        read_array_images(tmp_path / "new.npy", shape=(3, 8, 8), value_range=None)
    with pytest.raises(InputError, match="must hold uint8 images, got 'uint16'"):
        read_array_images(tmp_path / "new.npy", shape=data.image_shape, value_range=None)
    (tmp_path / "new.npy").write_bytes(b"none")
    with pytest.raises(InputError, match="cannot be read as an array"):
        read_array_images(tmp_path / "new.npy", shape=data.image_shape, value_range=None)


def test_describing_reads_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(tmp_path, **split(IMAGES))
    read: list[str] = []
    get = np.lib.npyio.NpzFile.__getitem__

    def noting(archive: Any, name: str) -> NDArray[Any]:
        read.append(name)
        return get(archive, name)

    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", noting)
    facts = describe_dataset(DatasetRequest(name="arrays", root=tmp_path / "mine.npz"), tmp_path)
    assert (facts.image_shape, facts.class_names) == ((1, 8, 8), ("0", "1"))
    assert read == ["train_labels", "test_labels"]


def test_what_is_no_archive_of_arrays_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold train_images, .* got \['pictures'\]"):
        load(tmp_path, pictures=IMAGES)
    with pytest.raises(InputError, match=r"is required with dataset arrays\. Give the \.npz file"):
        load_dataset(DatasetRequest(name="arrays"), tmp_path)
    with pytest.raises(InputError, match="size cannot be chosen for arrays"):
        load_dataset(DatasetRequest(name="arrays", root=tmp_path / "mine.npz", size=64), tmp_path)
    for content in (b"no archive", b""):
        (tmp_path / "mine.npz").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as an archive of arrays"):
            load_dataset(DatasetRequest(name="arrays", root=tmp_path / "mine.npz"), tmp_path)
    np.savez(tmp_path / "objects.npz", **split(np.array([object()] * 20, dtype=object)))
    with pytest.raises(InputError, match="cannot be read as an archive of arrays"):
        load_dataset(DatasetRequest(name="arrays", root=tmp_path / "objects.npz"), tmp_path)
