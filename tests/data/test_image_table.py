"""Images listed in a table: columns, splits, groups, and what is refused with its row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from searchlab.config.dataset import ColumnsSpec
from searchlab.data import DatasetRequest, describe_dataset, load_dataset, stratified_folds
from searchlab.data.image_data import ImageData
from searchlab.errors import InputError

NUM_IMAGES = 40
COLUMNS = ColumnsSpec(path="file", label="diagnosis", group="patient")


@pytest.fixture
def photos(tmp_path: Path) -> pd.DataFrame:
    """Return a table of images in two folders, four of each of ten patients."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(NUM_IMAGES):
        file = f"{'left' if number % 3 else 'right'}/{number}.png"
        (tmp_path / file).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tmp_path / file)
        label = "ill" if number % 2 else "well"
        rows.append({"file": file, "diagnosis": label, "patient": f"p{number // 4}"})
    return pd.DataFrame(rows)


def load(table: Path, columns: ColumnsSpec = COLUMNS, **choices: bool) -> ImageData:
    request = DatasetRequest(name="table", root=table, columns=columns, size=8, **choices)
    return load_dataset(request, table.parent / "data")


def write(photos: pd.DataFrame, folder: Path, name: str = "photos.csv") -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        photos.to_parquet(path)
    else:
        photos.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("name", ["photos.csv", "photos.tsv", "photos.parquet"])
def test_a_table_of_any_kind_is_the_same_dataset(
    photos: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    data = load(write(photos, tmp_path, name))
    reference = load(write(photos, tmp_path, "reference.csv"))
    assert data.fingerprint() == reference.fingerprint()
    assert data.class_names == ("ill", "well")
    assert len(data.train_labels) + len(data.test_labels) == NUM_IMAGES
    by_file = dict(zip(photos["file"], photos["diagnosis"], strict=True))
    for files, labels in (
        (data.train_files, data.train_labels),
        (data.test_files, data.test_labels),
    ):
        assert [data.class_names[label] for label in labels] == [by_file[file] for file in files]


def test_pixels_are_those_of_the_same_files_in_class_folders(
    photos: pd.DataFrame, tmp_path: Path
) -> None:
    data = load(write(photos, tmp_path))
    tree = tmp_path / "tree"
    for _, row in photos.iterrows():
        target = tree / row["diagnosis"] / Path(row["file"]).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((tmp_path / row["file"]).read_bytes())
    folder = load_dataset(DatasetRequest(name="folder", root=tree, size=8), tmp_path / "data")

    def pixels(images: ImageData) -> dict[str, bytes]:
        files = (*images.train_files, *images.test_files)
        arrays = (*images.train_images, *images.test_images)
        return {Path(file).name: a.tobytes() for file, a in zip(files, arrays, strict=True)}

    assert pixels(data) == pixels(folder)


def test_a_group_is_on_one_side_of_every_split(photos: pd.DataFrame, tmp_path: Path) -> None:
    data = load(write(photos, tmp_path))
    patient = dict(zip(photos["file"], photos["patient"], strict=True))
    train = [patient[file] for file in data.train_files]
    assert not {patient[file] for file in data.test_files} & set(train)
    assert 4 <= len(data.test_labels) <= 12
    assert data.train_groups is not None
    folds = stratified_folds(data.train_labels, num_folds=3, seed=0, groups=data.train_groups)
    parts = [{train[index] for index in fold} for fold in folds]
    assert set.union(*parts) == set(train)
    assert sum(map(len, parts)) == len(set(train))
    assert sorted(np.concatenate(folds)) == list(range(len(train)))


def test_groups_count_in_the_fingerprint_and_survive_a_limit(
    photos: pd.DataFrame, tmp_path: Path
) -> None:
    grouped = load(write(photos, tmp_path))
    photos["split"] = ["test" if file in grouped.test_files else "train" for file in photos["file"]]
    table = write(photos, tmp_path, "split.csv")
    again, without = load(table), load(table, COLUMNS.model_copy(update={"group": None}))
    assert again.fingerprint() == grouped.fingerprint() != without.fingerprint()
    limited = load_dataset(
        DatasetRequest(name="table", root=table, columns=COLUMNS, size=8, limit=10),
        tmp_path / "data",
    )
    assert limited.train_groups is not None
    assert len(limited.train_groups) == len(limited.train_labels) == 10


def test_more_folds_than_groups_of_a_class_are_refused(
    photos: pd.DataFrame, tmp_path: Path
) -> None:
    data = load(write(photos, tmp_path))
    with pytest.raises(InputError, match=r"the groups of the class with the fewest .*got 9"):
        stratified_folds(data.train_labels, num_folds=9, seed=0, groups=data.train_groups)


def test_a_column_of_splits_decides(photos: pd.DataFrame, tmp_path: Path) -> None:
    photos["split"] = ["Test" if number < 8 else "train" for number in range(NUM_IMAGES)]
    data = load(write(photos, tmp_path))
    assert set(data.test_files) == set(photos["file"][:8])
    photos["split"] = ["val" if number < 8 else "train" for number in range(NUM_IMAGES)]
    assert set(load(write(photos, tmp_path)).test_files) == set(photos["file"][:8])


def test_validation_rows_beside_test_rows_are_counted_as_unread(
    photos: pd.DataFrame, tmp_path: Path
) -> None:
    photos["split"] = ["test"] * 8 + ["val"] * 4 + ["train"] * (NUM_IMAGES - 12)
    data = load(write(photos, tmp_path))
    assert len(data.train_labels) == NUM_IMAGES - 12
    assert [(entry.reason.name, entry.count) for entry in data.unread] == [("UNUSED_SPLIT", 4)]


def test_a_group_in_training_and_test_set_is_an_error(photos: pd.DataFrame, tmp_path: Path) -> None:
    photos["split"] = ["test" if number < 6 else "train" for number in range(NUM_IMAGES)]
    with pytest.raises(InputError, match=r"a group in both training and test set, got \['p1'\]"):
        load(write(photos, tmp_path))


def test_labels_that_are_numbers_are_in_their_order(photos: pd.DataFrame, tmp_path: Path) -> None:
    photos["diagnosis"] = [str(number % 11) for number in range(NUM_IMAGES)]
    request = DatasetRequest(name="table", root=write(photos, tmp_path), columns=COLUMNS, size=8)
    facts = describe_dataset(request, tmp_path)
    assert facts.class_names == tuple(map(str, range(11)))
    assert facts.image_shape == (3, 8, 8)


def change(photos: pd.DataFrame, column: str, row: int, value: str) -> pd.DataFrame:
    photos.loc[row, column] = value
    return photos


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("file", "", "row 4: file must not be empty"),
        ("diagnosis", " ", "row 4: diagnosis must not be empty"),
        ("patient", "", "row 4: patient must not be empty"),
        ("file", "right/0.png", "row 4 must list each image once, .* It is in row 2 too"),
        ("file", "gone.png", r"is in row 4 of .*photos.csv, but No such file"),
        ("diagnosis", "rare", r"at least two images of each class, got 1\. Add some of rare"),
    ],
)
def test_a_wrong_row_is_named(
    photos: pd.DataFrame, tmp_path: Path, column: str, value: str, rule: str
) -> None:
    with pytest.raises(InputError, match=rule):
        load(write(change(photos, column, 2, value), tmp_path))


def test_a_missing_file_is_skipped_and_counted_if_asked(
    photos: pd.DataFrame, tmp_path: Path
) -> None:
    table = write(change(photos, "file", 2, "gone.png"), tmp_path)
    assert load(table, skip_broken=True).num_skipped == 1


def test_a_class_without_training_images_is_an_error(photos: pd.DataFrame, tmp_path: Path) -> None:
    photos["diagnosis"] = ["rare" if number < 4 else "well" for number in range(NUM_IMAGES)]
    photos["split"] = ["test" if number < 8 else "train" for number in range(NUM_IMAGES)]
    with pytest.raises(InputError, match="training images of each class, got 'none of rare'"):
        load(write(photos, tmp_path))


def test_an_empty_cell_of_a_parquet_file_is_no_class(photos: pd.DataFrame, tmp_path: Path) -> None:
    photos.loc[2, "diagnosis"] = None
    with pytest.raises(InputError, match="row 4: diagnosis must not be empty"):
        load(write(photos, tmp_path, "photos.parquet"))


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        (COLUMNS.model_copy(update={"label": "diagnoses"}), "Did you mean diagnosis"),
        (COLUMNS.model_copy(update={"split": "patient"}), "row 2: patient must be train or test"),
    ],
)
def test_a_wrong_column_is_named(
    photos: pd.DataFrame, tmp_path: Path, columns: ColumnsSpec, rule: str
) -> None:
    with pytest.raises(InputError, match=rule):
        load(write(photos, tmp_path), columns)


def test_what_is_no_table_is_refused(photos: pd.DataFrame, tmp_path: Path) -> None:
    broken = tmp_path / "photos.parquet"
    broken.write_bytes(b"no table")
    with pytest.raises(InputError, match="cannot be read as a table"):
        load(broken)
    with pytest.raises(InputError, match="must be an existing file"):
        load(tmp_path)
    request = DatasetRequest(name="table", size=8)
    with pytest.raises(InputError, match="Give the CSV, TSV or Parquet file"):
        load_dataset(request, tmp_path)
