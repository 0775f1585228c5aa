"""Image files that a table lists with their classes: CSV, TSV or Parquet, a row for each image.

Paths start at the table's folder.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.config.dataset import ColumnsSpec
from searchlab.data.image_rows import ImageRow, arrange, order_classes
from searchlab.data.image_tree import ImageFile, ImageTree
from searchlab.data.registry import TreeReader
from searchlab.data.request import DatasetRequest, unusable_file
from searchlab.data.times import read_times
from searchlab.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TABLE", "find_table_classes", "scan_table"]


def find_table_classes(table: Path, request: DatasetRequest) -> tuple[str, ...]:
    """Return the classes in the order of their labels: by number if all are, else by name.

    Raises ``InputError`` as ``scan_table`` does, but looks at no image.
    """
    return order_classes(table, _read_rows(table, request.columns))


def scan_table(table: Path, request: DatasetRequest) -> ImageTree:
    """List the images of a table, training and test set.

    Raises ``InputError`` with the row of an empty or unknown value, of a file that is listed twice
    or is not there (unless ``skip_broken``); if a group is in training and test set, or a test
    image is earlier than one to train on.
    """
    rows = _read_rows(table, request.columns)
    classes = order_classes(table, rows)
    _check_paths(table, rows)
    labels = {name: label for label, name in enumerate(classes)}
    files: list[tuple[ImageRow, ImageFile]] = []
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
    train, test, unread = arrange(table, files, classes, request.columns)
    return ImageTree(
        root=table.parent,
        classes=classes,
        train=train,
        test=test,
        unread=unread,
        broken_links=tuple(missing),
    )


TABLE = TreeReader(takes="file", find_classes=find_table_classes, scan=scan_table)
"""A table with a row for each image."""


def _read_rows(table: Path, columns: ColumnsSpec) -> list[ImageRow]:
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
            ImageRow(
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


def _check_paths(table: Path, rows: list[ImageRow]) -> None:
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
