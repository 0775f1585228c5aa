"""Tables with a column of times: the past is trained on, the future validated and tested."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from searchlab.config.dataset import ColumnsSpec
from searchlab.data import DatasetRequest, load_dataset
from searchlab.data.folds import folds_of
from searchlab.data.image_data import ImageData
from searchlab.errors import InputError
from searchlab.study.preparation.image_warnings import image_warnings
from searchlab.training.images import TrainingData

NUM_IMAGES = 60
COLUMNS = ColumnsSpec(time="day")


@pytest.fixture
def photos(tmp_path: Path) -> pd.DataFrame:
    """Return a table of images in no order, two of each of thirty days."""
    rng = np.random.default_rng(0)
    rows = []
    for number in rng.permutation(NUM_IMAGES):
        file = f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / file)
        day = date(2026, 1, 20) + timedelta(days=int(number) // 2)
        rows.append({"path": file, "label": f"c{number % 2}", "day": day.isoformat()})
    return pd.DataFrame(rows)


def load(photos: pd.DataFrame, folder: Path, limit: int | None = None) -> ImageData:
    photos.to_csv(folder / "photos.csv", index=False)
    request = DatasetRequest(
        name="table", root=folder / "photos.csv", columns=COLUMNS, size=8, limit=limit
    )
    return load_dataset(request, folder / "data")


def days_of(photos: pd.DataFrame, files: list[str]) -> list[str]:
    day = dict(zip(photos["path"], photos["day"], strict=True))
    return [day[file] for file in files]


def test_the_latest_fifth_is_the_test_set_and_folds_go_back_in_time(
    photos: pd.DataFrame, tmp_path: Path
) -> None:
    data = load(photos, tmp_path)
    assert len(data.test_labels) == 12
    train = days_of(photos, list(data.train_files))
    assert max(train) < min(days_of(photos, list(data.test_files)))
    folds = folds_of(data, num_folds=3, seed=0)
    tensors = TrainingData.from_images(data, folds, torch.device("cpu"))
    for fold in range(3):
        training, validation = tensors.split(fold)
        latest = max(train[index] for index in training.tolist())
        assert latest < min(train[index] for index in validation.tolist())
        mean, _ = tensors.mean_std(fold, "standard")
        pixels = data.train_images[training.numpy()] / 255
        assert np.allclose(mean, pixels.mean((0, 2, 3)))
    assert max(train) in [train[index] for index in folds[0]]


def test_times_count_in_the_fingerprint_and_survive_a_limit(
    photos: pd.DataFrame, tmp_path: Path
) -> None:
    data, limited = load(photos, tmp_path), load(photos, tmp_path, limit=20)
    assert limited.train_times is not None
    assert len(folds_of(limited, num_folds=3, seed=0)) == 3
    files = list(limited.train_files)
    order = sorted(files, key=lambda file: days_of(photos, [file])[0])
    by_rank = sorted(zip(limited.train_times.tolist(), files, strict=True))
    assert [days_of(photos, [file]) for _, file in by_rank] == [
        days_of(photos, [file]) for file in order
    ]
    photos["day"] = photos["day"].iloc[::-1].to_numpy()
    assert load(photos, tmp_path).fingerprint() != data.fingerprint()


def test_numbers_are_times_as_well(photos: pd.DataFrame, tmp_path: Path) -> None:
    data = load(photos, tmp_path)
    photos["day"] = [int(date.fromisoformat(day).strftime("%Y%m%d")) for day in photos["day"]]
    assert load(photos, tmp_path).fingerprint() == data.fingerprint()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("yesterday", r"row 5: day must be a number or an ISO date such as .*, got 'yesterday'"),
        ("2026-02-30", r"row 5: day must be a number or an ISO date"),
        ("", r"row 5: day must not be empty"),
    ],
)
def test_what_is_no_time_is_refused_with_its_row(
    photos: pd.DataFrame, tmp_path: Path, cell: str, message: str
) -> None:
    photos.loc[3, "day"] = cell
    with pytest.raises(InputError, match=message):
        load(photos, tmp_path)


def test_a_test_image_from_before_the_training_images_is_an_error(
    photos: pd.DataFrame, tmp_path: Path
) -> None:
    photos["split"] = ["test" if day < "2026-01-23" else "train" for day in photos["day"]]
    with pytest.raises(InputError, match="test images that are earlier than one to train on"):
        load(photos, tmp_path)
    photos["split"] = ["test" if day > "2026-02-10" else "train" for day in photos["day"]]
    assert load(photos, tmp_path).train_times is not None


def test_a_class_that_the_latest_images_lack_is_an_error(
    photos: pd.DataFrame, tmp_path: Path
) -> None:
    odd = photos["label"] == "c1"
    photos["label"] = np.where(odd & (photos["day"] < "2026-02-03"), "old", "new")
    with pytest.raises(InputError, match="must list test images of each class, got 'none of old'"):
        load(photos, tmp_path)


def test_a_class_that_comes_late_is_named(photos: pd.DataFrame, tmp_path: Path) -> None:
    from test_image_warnings import study

    odd = photos["label"] == "c1"
    photos["label"] = np.where(odd & (photos["day"] > "2026-02-03"), "new", "old")
    data = load(photos, tmp_path)
    [warning] = image_warnings(study(metric="macro_f1"), data, folds_of(data, num_folds=3, seed=0))
    assert warning.startswith("the model of fold 1 trains on no image of class new")
