"""Images that rows list with their classes, and perhaps with a split, groups or times.

A split says which images are the test set: its values are called as the folders of an image tree.
Without one, a fifth of the images is: by whole groups if there are groups, the latest if there are
times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchlab.config.dataset import ColumnsSpec
from searchlab.config.seeds import derive_seed
from searchlab.data.folds import split_groups, split_times, stratified_folds
from searchlab.data.image_tree import ImageFile
from searchlab.data.tree_layout import TEST, TRAIN, VALIDATION
from searchlab.data.unread_files import Reason, Unread
from searchlab.errors import InputError

__all__ = ["ImageRow", "arrange", "order_classes"]

_NUM_PARTS = 5
"""One of so many parts is the test set, if there are no splits."""

Files = tuple[ImageFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """A row: ``number`` is its place as messages name it, ``path`` its image."""

    number: int
    path: str
    label: str
    split: str | None
    group: str | None
    time: float | None


def order_classes(where: Path, rows: Sequence[ImageRow]) -> tuple[str, ...]:
    """Return the classes in the order of their labels: by number if all are, else by name.

    Raises ``InputError`` if there is only one.
    """
    names = {row.label for row in rows}
    if len(names) < 2:
        raise InputError("must list two or more classes", where=str(where), found=sorted(names))
    are_numbers = all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name) if are_numbers else 0, name)))


def arrange(
    where: Path,
    files: list[tuple[ImageRow, ImageFile]],
    classes: tuple[str, ...],
    columns: ColumnsSpec,
) -> tuple[Files, Files, tuple[Unread, ...]]:
    """Return the training and the test set, by class and name, and what is in neither.

    Raises ``InputError`` naming ``where`` for an unknown split, a class without training images, a
    group in training and test set, or a test image that is earlier than one to train on.
    """
    _check_counts(where, classes, Counter(file.label for _, file in files))
    train, test, unread = _split(where, files, columns)
    _check_classes(where, classes, "training", train)
    _check_classes(where, classes, "test", test)
    return tuple(sorted(train, key=_by_class)), tuple(sorted(test, key=_by_class)), unread


def _check_counts(table: Path, classes: tuple[str, ...], counts: Counter[int]) -> None:
    for label, name in enumerate(classes):
        if counts[label] < 2:
            raise InputError(
                "must list at least two images of each class",
                where=str(table),
                found=counts[label],
                remedy=f"Add some of {name}, or remove the class",
            )


def _check_classes(
    table: Path, classes: tuple[str, ...], part: str, files: list[ImageFile]
) -> None:
    """Refuse a class of which no image is in the training or the test set."""
    there = {file.label for file in files}
    for label, name in enumerate(classes):
        if label not in there:
            raise InputError(
                f"must list {part} images of each class",
                where=str(table),
                found=f"none of {name}",
                remedy="Add some, say in a column which images are train and test, or leave the "
                "class out",
            )


def _split(
    table: Path, files: list[tuple[ImageRow, ImageFile]], columns: ColumnsSpec
) -> tuple[list[ImageFile], list[ImageFile], tuple[Unread, ...]]:
    """Return training and test set, and what is in neither."""
    if files[0][0].split is None:
        train, test = _split_off(table, [file for _, file in files])
        return train, test, ()
    parts: dict[str, list[ImageFile]] = {"train": [], "test": [], "validation": []}
    for row, file in files:
        parts[_part_of(row, table, columns)].append(file)
    train, test, unused = parts["train"], parts["test"], parts["validation"]
    if not test:
        test, unused = unused, []
    for name, part in (("train", train), ("test", test)):
        if not part:
            raise InputError(
                f"must list images whose {columns.split} is {name}",
                where=str(table),
                found=sorted(name for name, part in parts.items() if part),
            )
    _check_groups(table, train, test)
    _check_times(table, train, test)
    if not unused:
        return train, test, ()
    unread = Unread(reason=Reason.UNUSED_SPLIT, count=len(unused), example=unused[0].path)
    return train, test, (unread,)


def _part_of(row: ImageRow, table: Path, columns: ColumnsSpec) -> str:
    known = {"train": TRAIN, "test": TEST, "validation": VALIDATION}
    for part, names in known.items():
        if row.split is not None and row.split.strip().lower() in names:
            return part
    raise InputError(
        "must be train or test",
        where=f"{table}: row {row.number}: {columns.split}",
        found=row.split,
        remedy="Name another column as dataset.columns.split if this one is no split",
    )


def _check_groups(table: Path, train: list[ImageFile], test: list[ImageFile]) -> None:
    shared = {file.group for file in train} & {file.group for file in test} - {None}
    if shared:
        raise InputError(
            "must not have a group in both training and test set",
            where=str(table),
            found=sorted(map(str, shared))[:3],
            remedy=f"{len(shared)} of the groups are in both, so the test would know them",
        )


def _check_times(table: Path, train: list[ImageFile], test: list[ImageFile]) -> None:
    latest = max(file.time or 0.0 for file in train)
    early = [file.path for file in test if file.time is not None and file.time < latest]
    if early:
        raise InputError(
            "must not have test images that are earlier than one to train on",
            where=str(table),
            found=early[:3],
            remedy=f"There are {len(early)}. Leave dataset.columns.split or .time out",
        )


def _split_off(table: Path, files: list[ImageFile]) -> tuple[list[ImageFile], list[ImageFile]]:
    """Keep about a fifth for the test set: of each class, or whole groups, or the latest."""
    labels = np.array([file.label for file in files], dtype=np.int64)
    seed = derive_seed("test split of a table") % 2**32
    if files[0].time is not None:
        times = np.array([file.time for file in files])
        test = split_times(times, num_parts=_NUM_PARTS, where=str(table))[-1]
    elif files[0].group is None:
        num_parts = min(_NUM_PARTS, int(np.bincount(labels).min()))
        (test, *_) = stratified_folds(labels, num_folds=num_parts, seed=seed)
    else:
        groups = np.array([file.group for file in files])
        num_groups = len(np.unique(groups))
        if num_groups < 2:
            raise InputError("must have at least two groups", where=str(table), found=num_groups)
        (test, *_) = split_groups(labels, groups, num_folds=min(_NUM_PARTS, num_groups), seed=seed)
    held = set(test.tolist())
    return (
        [file for number, file in enumerate(files) if number not in held],
        [file for number, file in enumerate(files) if number in held],
    )


def _by_class(file: ImageFile) -> tuple[int, str]:
    return file.label, file.path
