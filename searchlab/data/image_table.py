"""Image files that a table lists with their classes: CSV, TSV or Parquet, a row for each image.

Paths start at the table's folder. A column of splits says which images are the test set: its
values are called as the folders of an image tree. Without one, a fifth of the images is: by whole
groups if a column of groups is named, the latest if one of times is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from searchlab.config.dataset import ColumnsSpec
from searchlab.config.seeds import derive_seed
from searchlab.data.folds import split_groups, split_times, stratified_folds
from searchlab.data.image_tree import ImageFile, ImageTree
from searchlab.data.registry import TreeReader
from searchlab.data.request import DatasetRequest, unusable_file
from searchlab.data.times import read_times
from searchlab.data.tree_layout import TEST, TRAIN, VALIDATION
from searchlab.data.unread_files import Reason, Unread
from searchlab.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TABLE", "find_table_classes", "scan_table"]

_NUM_PARTS = 5
"""One of so many parts is the test set, if the table has no column of splits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    number: int  # as an editor counts lines, the header being the first
    path: str
    label: str
    split: str | None
    group: str | None
    time: float | None


def find_table_classes(table: Path, request: DatasetRequest) -> tuple[str, ...]:
    """Return the classes in the order of their labels: by number if all are, else by name.

    Raises ``InputError`` as ``scan_table`` does, but looks at no image.
    """
    return _order_classes(table, _read_rows(table, request.columns))


def scan_table(table: Path, request: DatasetRequest) -> ImageTree:
    """List the images of a table, training and test set.

    Raises ``InputError`` with the row of an empty or unknown value, of a file that is listed twice
    or is not there (unless ``skip_broken``); if a group is in training and test set, or a test
    image is earlier than one to train on.
    """
    rows = _read_rows(table, request.columns)
    classes = _order_classes(table, rows)
    _check_paths(table, rows)
    labels = {name: label for label, name in enumerate(classes)}
    files: list[tuple[_Row, ImageFile]] = []
    missing: list[str] = []
    for row in rows:
        place = table.parent / row.path
        try:
            status = place.stat()
        except OSError as error:
            if not request.skip_broken:
                reason = f"is in row {row.number} of {table}, but {error.strerror or error}"
                raise unusable_file(reason, place) from error
            missing.append(row.path)
            continue
        file = ImageFile(
            row.path, labels[row.label], status.st_size, status.st_mtime_ns, row.group, row.time
        )
        files.append((row, file))
    _check_counts(table, classes, Counter(file.label for _, file in files))
    train, test, unread = _split(table, files, request.columns)
    _check_classes(table, classes, train)
    return ImageTree(
        root=table.parent,
        classes=classes,
        train=tuple(sorted(train, key=_by_class)),
        test=tuple(sorted(test, key=_by_class)),
        unread=unread,
        broken_links=tuple(missing),
    )


TABLE = TreeReader(takes="file", find_classes=find_table_classes, scan=scan_table)
"""A table with a row for each image."""


def _read_rows(table: Path, columns: ColumnsSpec) -> list[_Row]:
    data = _read_table(table)
    named = [columns.path, columns.label]
    named += [name for name in (columns.group, columns.time) if name is not None]
    for name in named:
        if name not in data.columns:
            raise InputError(
                "must have the columns that dataset.columns names",
                where=str(table),
                found=sorted(map(str, data.columns)),
                remedy=f"There is no {name}. {did_you_mean(name, list(map(str, data.columns)))}",
            )
    rows = []
    for number, values in enumerate(data.to_dict("records"), start=2):
        for name in named:
            if not values[name].strip():
                raise InputError("must not be empty", where=f"{table}: row {number}: {name}")
        rows.append(
            _Row(
                number=number,
                path=values[columns.path],
                label=values[columns.label],
                split=values.get(columns.split),
                group=values[columns.group] if columns.group else None,
                time=None,
            )
        )
    if columns.time is None:
        return rows
    times = read_times(list(data[columns.time]), table=table, column=columns.time)
    return [replace(row, time=time) for row, time in zip(rows, times, strict=True)]


def _read_table(table: Path) -> pd.DataFrame:
    """Return the table's cells as text, as they are written."""
    import pandas as pd  # takes half a second

    options: dict[str, Any] = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}
    try:
        if table.suffix == ".parquet":
            cells = pd.read_parquet(table).astype(object)
            data = cells.where(cells.notna(), "").astype(str)
        else:
            data = pd.read_csv(table, sep="\t" if table.suffix == ".tsv" else ",", **options)
    # What pandas and pyarrow raise for other files: UnicodeDecodeError and ParserError are
    # ValueErrors, and ArrowInvalid is one too.
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"cannot be read as a table: {reason}",
            where=str(table),
            remedy="Give a .csv or .tsv file in UTF-8 with a header, or a .parquet file",
        ) from error
    return data


def _order_classes(table: Path, rows: list[_Row]) -> tuple[str, ...]:
    names = {row.label for row in rows}
    if len(names) < 2:
        raise InputError("must list two or more classes", where=str(table), found=sorted(names))
    are_numbers = all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name) if are_numbers else 0, name)))


def _check_paths(table: Path, rows: list[_Row]) -> None:
    first: dict[str, int] = {}
    for row in rows:
        if row.path in first:
            raise InputError(
                "must list each image once",
                where=f"{table}: row {row.number}",
                found=row.path,
                remedy=f"It is in row {first[row.path]} too",
            )
        first[row.path] = row.number


def _check_counts(table: Path, classes: tuple[str, ...], counts: Counter[int]) -> None:
    for label, name in enumerate(classes):
        if counts[label] < 2:
            raise InputError(
                "must list at least two images of each class",
                where=str(table),
                found=counts[label],
                remedy=f"Add some of {name}, or remove the class",
            )


def _check_classes(table: Path, classes: tuple[str, ...], train: list[ImageFile]) -> None:
    """Refuse a class of which no image is left to train on."""
    trained = {file.label for file in train}
    for label, name in enumerate(classes):
        if label not in trained:
            raise InputError(
                "must list training images of each class",
                where=str(table),
                found=f"none of {name}",
                remedy="Add some, or move whole groups of them from the test set",
            )


def _split(
    table: Path, files: list[tuple[_Row, ImageFile]], columns: ColumnsSpec
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


def _part_of(row: _Row, table: Path, columns: ColumnsSpec) -> str:
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
