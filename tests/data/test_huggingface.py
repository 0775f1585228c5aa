"""Datasets that Hugging Face's datasets saved on disk: columns, splits, names, the same pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

from searchlab.config.dataset import ColumnsSpec
from searchlab.data import DatasetRequest, ImageData, describe_dataset, load_dataset
from searchlab.errors import InputError

datasets = pytest.importorskip("datasets")

pytestmark = pytest.mark.slow  # importing the package takes seconds

NAMES = ["yak", "ant"]
NUM_IMAGES = 20
PICTURES = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 12, 9, 3), dtype=np.uint8)


def make(count: int = NUM_IMAGES, label: Any = None, **columns: list[Any]) -> Any:
    """Return a dataset of images, of two classes in turn."""
    label = label or datasets.ClassLabel(names=NAMES)
    features = {"picture": datasets.Image(), "kind": label}
    pictures = [Pictures.fromarray(picture) for picture in PICTURES[:count]]
    data = {"picture": pictures, "kind": [number % 2 for number in range(count)]}
    features |= {name: datasets.Value("string") for name in columns}
    return datasets.Dataset.from_dict({**data, **columns}, features=datasets.Features(features))


def load(saved: Any, folder: Path, **columns: str) -> ImageData:
    saved.save_to_disk(folder / "saved")
    return load_dataset(request(folder, **columns), folder / "data")


def request(folder: Path, **columns: str) -> DatasetRequest:
    return DatasetRequest(
        name="huggingface", root=folder / "saved", columns=ColumnsSpec(**columns), size=8
    )


def test_splits_are_training_and_test_and_pixels_those_of_files(tmp_path: Path) -> None:
    data = load(datasets.DatasetDict({"train": make(), "test": make(6)}), tmp_path)
    assert (len(data.train_labels), len(data.test_labels)) == (NUM_IMAGES, 6)
    assert data.class_names == ("yak", "ant"), "in the dataset's own order"
    assert data.train_files[:2] == ("train/0", "train/10")
    for number, name in enumerate(data.train_files):
        place = tmp_path / "tree" / NAMES[data.train_labels[number]] / f"{name[6:]}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Pictures.fromarray(PICTURES[int(name[6:])]).save(place)
    (tmp_path / "tree").rename(tmp_path / "train")
    files = load_dataset(
        DatasetRequest(name="folder", root=tmp_path / "train", size=8), tmp_path / "data"
    )
    by_name = {
        Path(file).stem: pixels.tobytes()
        for part, images in (
            (files.train_files, files.train_images),
            (files.test_files, files.test_images),
        )
        for file, pixels in zip(part, images, strict=True)
    }
    for file, pixels in zip(data.train_files, data.train_images, strict=True):
        assert pixels.tobytes() == by_name[file[6:]]
    assert describe_dataset(request(tmp_path), tmp_path).class_names == data.class_names


def test_a_fifth_is_the_test_set_without_a_split(tmp_path: Path) -> None:
    data = load(make(), tmp_path)
    assert np.bincount(data.test_labels).tolist() == [2, 2]
    assert len(data.train_labels) == 16
    again = load_dataset(request(tmp_path), tmp_path / "other")
    assert again.fingerprint() == data.fingerprint()


def test_columns_of_splits_groups_and_times_are_those_of_a_table(tmp_path: Path) -> None:
    who = [f"p{number // 2}" for number in range(NUM_IMAGES)]
    data = load(make(who=who), tmp_path / "groups", group="who")
    assert data.train_groups is not None
    train = {who[int(file[1:])] for file in data.train_files}
    assert not train & {who[int(file[1:])] for file in data.test_files}
    day = [f"2026-01-{number + 1:02d}" for number in range(NUM_IMAGES)]
    data = load(make(day=day), tmp_path / "times", time="day")
    assert sorted(int(file[1:]) for file in data.test_files) == [16, 17, 18, 19]
    split = ["test" if number < 5 else "train" for number in range(NUM_IMAGES)]
    data = load(make(split=split), tmp_path / "splits")
    assert sorted(int(file[1:]) for file in data.test_files) == [0, 1, 2, 3, 4]


def test_sixteen_bits_keep_their_levels(tmp_path: Path) -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60  # of 12 bits
    content = io.BytesIO()
    Pictures.fromarray(values).save(content, format="PNG")
    features = datasets.Features(image=datasets.Image(), label=datasets.Value("string"))
    images = [{"bytes": content.getvalue(), "path": None}] * 10
    saved = datasets.Dataset.from_dict(
        {"image": images, "label": ["a", "b"] * 5}, features=features
    )
    data = load(saved, tmp_path)
    assert data.bits == 12
    assert data.train_images[0, 0].tolist() == (values >> 4).tolist()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": "knd"}, r"dataset\.columns names, got .*There is no knd\. Did you mean kind"),
        ({"path": "photo"}, r"There is no photo"),
        ({"group": "patient"}, r"There is no patient"),
    ],
)
def test_columns_that_are_not_there_are_refused(
    tmp_path: Path, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load(make(), tmp_path, **columns)


def test_what_was_not_saved_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    with pytest.raises(InputError, match=r"is no dataset that Hugging Face's datasets saved"):
        load_dataset(request(tmp_path), tmp_path)


def test_an_image_without_a_label_is_refused(tmp_path: Path) -> None:
    saved = make(label=datasets.Value("int64")).map(
        lambda row, index: {"kind": None if index == 3 else row["kind"]}, with_indices=True
    )
    with pytest.raises(InputError, match=r"row 3 must have a label"):
        load(saved, tmp_path, label="kind")
