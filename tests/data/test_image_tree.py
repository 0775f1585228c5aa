"""Which files of a folder become training and test images, and what is said where none can."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from picture_files import CLASSES, write_picture, write_split_tree, write_tree

from searchlab.data.image_tree import ImageTree, scan_tree
from searchlab.data.tree_layout import find_layout
from searchlab.data.unread_files import describe_unread
from searchlab.errors import InputError


def told(tree: ImageTree) -> list[str]:
    return [describe_unread([entry]) for entry in tree.unread]


@pytest.mark.parametrize("test", ["test", "val"])
def test_train_and_test_folders_are_used_as_they_are(test: str, tmp_path: Path) -> None:
    tree = scan_tree(write_split_tree(tmp_path, test=test))
    assert tree.classes == ("ant", "bee", "cat")
    assert [file.path for file in tree.train[:5]] == [
        "train/ant/0.png", "train/ant/1.png", "train/ant/2.png", "train/ant/3.png",
        "train/bee/0.png",
    ]  # fmt: skip
    assert [file.label for file in tree.test] == [0, 0, 1, 1, 2, 2]
    assert {file.path.split("/")[0] for file in tree.test} == {test}


def test_test_wins_over_val_which_is_counted(tmp_path: Path) -> None:
    write_tree(write_split_tree(tmp_path) / "val", per_class=1)
    tree = scan_tree(tmp_path)
    assert {file.path.split("/")[0] for file in tree.test} == {"test"}
    assert told(tree) == ["3 images in folders that are not used (val/ant/0.png)"]


def test_without_a_train_folder_a_fifth_of_each_class_is_kept(tmp_path: Path) -> None:
    tree = scan_tree(write_tree(tmp_path, per_class=10))
    for label in range(len(CLASSES)):
        train = {file.path for file in tree.train if file.label == label}
        test = {file.path for file in tree.test if file.label == label}
        assert (len(train), len(test)) == (8, 2)
        assert not train & test


def test_the_split_is_the_files_own_wherever_they_lie(tmp_path: Path) -> None:
    first = scan_tree(write_tree(tmp_path / "one", per_class=10))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    again = scan_tree(tmp_path / "two")
    assert [file.path for file in again.test] == [file.path for file in first.test]
    assert [file.path for file in first.test] != [file.path for file in first.train[::5]]


def test_another_image_hardly_changes_the_split(tmp_path: Path) -> None:
    before = {file.path for file in scan_tree(write_tree(tmp_path, per_class=50)).test}
    write_picture(tmp_path / "ant" / "new.png")
    after = {file.path for file in scan_tree(tmp_path).test}
    assert len(before ^ after) <= 2


def test_a_name_that_is_no_utf8_is_split_like_any_other(tmp_path: Path) -> None:
    write_tree(tmp_path, per_class=4)
    try:
        write_picture(tmp_path / "ant" / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("the file system takes no such names")
    tree = scan_tree(tmp_path)
    assert os.fsdecode(b"ant/\xff.png") in {file.path for file in (*tree.train, *tree.test)}


def test_a_class_named_train_is_a_class(tmp_path: Path) -> None:
    for name in ("plane", "train"):
        for index in range(5):
            write_picture(tmp_path / name / f"{index}.jpg")
    assert find_layout(tmp_path).classes == ("plane", "train")
    assert len(scan_tree(tmp_path).train) == 8


def test_classes_that_differ_are_named(tmp_path: Path) -> None:
    write_split_tree(tmp_path)
    (tmp_path / "test" / "cat").rename(tmp_path / "test" / "cats")
    with pytest.raises(InputError) as caught:
        find_layout(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'test'} must have the same class folders as {tmp_path / 'train'}, "
        f"got ['no cat', 'cats']. Add or rename folders, or give {tmp_path / 'train'} as the root; "
        "a fifth of each class then becomes the test set"
    )


def test_test_images_without_classes_can_be_left_out(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", per_class=2)
    write_picture(tmp_path / "test" / "0.png")
    with pytest.raises(
        InputError, match=r"test must have the same class folders as .*train as the"
    ):
        find_layout(tmp_path)
    assert find_layout(tmp_path / "train").classes == ("ant", "bee", "cat")


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_class_folder_is_named(part: str, tmp_path: Path) -> None:
    write_split_tree(tmp_path)
    for file in (tmp_path / part / "bee").iterdir():
        file.unlink()
    with pytest.raises(
        InputError, match=rf"class folder {tmp_path / part / 'bee'} must contain images"
    ):
        scan_tree(tmp_path)


def test_a_class_of_one_image_cannot_be_split(tmp_path: Path) -> None:
    write_tree(tmp_path, per_class=3)
    write_picture(tmp_path / "dog" / "only.png")
    with pytest.raises(InputError, match=r"dog must contain at least two images.*, got 1"):
        scan_tree(tmp_path)


def test_train_alone_asks_for_a_test_folder(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", per_class=3)
    with pytest.raises(InputError, match=r"must have a test or val folder beside train\. Add one"):
        scan_tree(tmp_path)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"), ("TRAIN", "TEST"), ("training", "validation"), ("train", "valid"),
        ("Training", "testing"), ("train", "VAL"),
    ],
)  # fmt: skip
def test_a_split_by_other_names_is_a_split(train: str, test: str, tmp_path: Path) -> None:
    write_tree(tmp_path / train, per_class=2)
    write_tree(tmp_path / test, per_class=1)
    tree = scan_tree(tmp_path)
    assert tree.classes == ("ant", "bee", "cat")
    assert (len(tree.train), len(tree.test)) == (6, 3)
    assert {file.path.split("/")[0] for file in tree.test} == {test}


@pytest.mark.parametrize("others", [("test",), ("val",), ("Valid", "testing")])
def test_a_split_without_class_folders_is_no_pair_of_classes(
    others: tuple[str, ...], tmp_path: Path
) -> None:
    for name in ("Train", *others):
        for index in range(5):
            write_picture(tmp_path / name / f"cat.{index}.jpg")
    with pytest.raises(InputError, match=r"Train must have one folder per class\. .* is a split"):
        find_layout(tmp_path)


@pytest.mark.parametrize("parts", [("training_set", "test_set"), ("test", "validation")])
def test_a_split_by_unknown_names_is_told_from_classes(
    parts: tuple[str, ...], tmp_path: Path
) -> None:
    for name in parts:
        write_tree(tmp_path / name, per_class=2)
    with pytest.raises(InputError, match=rf"folders in {tmp_path} are a split, call them train"):
        scan_tree(tmp_path)


def test_two_training_folders_are_one_too_many(tmp_path: Path) -> None:
    for name in ("train", "training", "test"):
        write_tree(tmp_path / name, per_class=1)
    with pytest.raises(InputError, match=r"called train or training, got \['train', 'training'\]"):
        find_layout(tmp_path)


def test_classes_one_folder_deeper_are_found_in_the_message(tmp_path: Path) -> None:
    write_tree(tmp_path / "photos", per_class=2)
    with pytest.raises(InputError, match=r"If the classes are in .*/photos, give that folder"):
        find_layout(tmp_path)


@pytest.mark.parametrize("classes", [(), ("only",)])
def test_fewer_than_two_classes_are_no_dataset(classes: tuple[str, ...], tmp_path: Path) -> None:
    for name in classes:
        write_picture(tmp_path / name / "0.png")
    with pytest.raises(
        InputError, match=r"must have one folder per class, and two or more classes, got \["
    ):
        find_layout(tmp_path)
