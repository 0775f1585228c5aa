from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from searchlab.data import ImageData


def make_data() -> ImageData:
    rng = np.random.default_rng(0)
    return ImageData(
        name="made",
        train_images=rng.integers(0, 256, (12, 3, 5, 4), dtype=np.uint8),
        train_labels=np.arange(12) % 3,
        test_images=rng.integers(0, 256, (6, 3, 5, 4), dtype=np.uint8),
        test_labels=np.arange(6) % 3,
        num_classes=3,
    )


def test_image_shape_is_channels_height_width() -> None:
    assert make_data().image_shape == (3, 5, 4)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"train_images": np.zeros((12, 3, 5, 4), dtype=np.float32)}, "train images must be uint8"),
        ({"train_images": np.zeros((12, 5, 4), dtype=np.uint8)}, "train images must be uint8"),
        ({"test_images": np.zeros((0, 3, 5, 4), dtype=np.uint8)}, "not empty"),
        ({"test_images": np.zeros((6, 1, 5, 4), dtype=np.uint8)}, "must have one shape"),
        ({"train_labels": np.zeros(11, dtype=np.int64)}, r"train labels must be int64 \[12\]"),
        ({"test_labels": np.zeros(6, dtype=np.int32)}, r"test labels must be int64 \[6\]"),
        ({"train_labels": np.full(12, 3)}, r"train labels must be in 0\.\.2, got 3\.\.3"),
        ({"test_labels": np.full(6, -1)}, r"test labels must be in 0\.\.2, got -1\.\.-1"),
        ({"test_files": ("a.png",)}, "must have a file for each image or none, got 1 for 6"),
    ],
)
def test_inconsistent_arrays_are_refused_by_name(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        replace(make_data(), **change)


def test_read_only_arrays_are_accepted_and_have_the_same_fingerprint() -> None:
    data = make_data()
    before = data.fingerprint()
    for array in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        array.setflags(write=False)
    again = replace(data, name="mapped")
    assert not again.train_images.flags.writeable
    assert again.fingerprint() == before


def test_pickling_keeps_the_fingerprint() -> None:
    data = make_data()
    assert pickle.loads(pickle.dumps(data)).fingerprint() == data.fingerprint()


def test_a_strided_view_has_the_fingerprint_of_its_copy() -> None:
    data = make_data()
    flipped = replace(data, train_images=data.train_images[..., ::-1])
    copied = replace(data, train_images=data.train_images[..., ::-1].copy())
    assert flipped.fingerprint() == copied.fingerprint() != data.fingerprint()


@pytest.mark.parametrize(
    "array_name", ["train_images", "train_labels", "test_images", "test_labels"]
)
def test_fingerprint_changes_with_one_value_of_any_array(array_name: str) -> None:
    data = make_data()
    changed = getattr(data, array_name).copy()
    changed.flat[-1] = (changed.flat[-1] + 1) % 3
    assert replace(data, **{array_name: changed}).fingerprint() != data.fingerprint()


def test_fingerprint_changes_with_the_shape_and_the_number_of_classes() -> None:
    data = make_data()
    turned = replace(
        data,
        train_images=data.train_images.reshape(12, 3, 4, 5),
        test_images=data.test_images.reshape(6, 3, 4, 5),
    )
    fingerprints = {data.fingerprint(), turned.fingerprint()}
    fingerprints.add(replace(data, num_classes=4).fingerprint())
    assert len(fingerprints) == 3
