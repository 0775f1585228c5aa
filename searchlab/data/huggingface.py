"""Datasets that Hugging Face's ``datasets`` saved on disk: ``Dataset.save_to_disk`` and its kin.

Nothing is downloaded. Splits are called as the folders of an image tree; without a split for the
test, a fifth of the images is it, as for a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from searchlab.config.dataset import ColumnsSpec
from searchlab.data.image_rows import ImageRow, arrange, order_classes
from searchlab.data.image_tree import ImageFile, ImageTree
from searchlab.data.registry import TreeReader, TreeSource, register_image_tree
from searchlab.data.request import DatasetRequest
from searchlab.data.times import read_times
from searchlab.errors import InputError, did_you_mean

__all__: list[str] = []

_WHOLE = ""
"""The name of the only part of a dataset without splits."""


class _Saved:
    """A saved dataset, opened: its parts, and which of their columns are what."""

    def __init__(self, root: Path, columns: ColumnsSpec) -> None:
        self._root = root
        self._columns = columns
        self.parts = _open(root)
        features = next(iter(self.parts.values())).features
        self._image = _find_column(root, "path", columns.path, features, "Image")
        self._label = _find_column(root, "label", columns.label, features, "ClassLabel")
        for name in (columns.group, columns.time):
            if name is not None and name not in features:
                raise _no_column(root, name, features)
        self._names: tuple[str, ...] = tuple(getattr(features[self._label], "names", ()))
        self._has_split = columns.split in features
        self.changed_ns = max(file.stat().st_mtime_ns for file in root.rglob("*.arrow"))

    def list_rows(self) -> list[ImageRow]:
        """Return a row for each image. Raises ``InputError`` if one has no label."""
        return [row for name in self.parts for row in self._list_part(name)]

    def name_classes(self, rows: list[ImageRow]) -> tuple[str, ...]:
        """Return the classes that occur: in the dataset's own order, if it has one."""
        found = order_classes(self._root, rows)
        return tuple(name for name in self._names if name in set(found)) or found

    def read(self, file: ImageFile) -> bytes:
        """Return an image as it was encoded."""
        name, _, index = file.path.rpartition("/")
        value = self._encoded[name][int(index)][self._image]
        content: bytes | None = value["bytes"]
        return Path(value["path"]).read_bytes() if content is None else content

    def prepare(self) -> None:
        """Let ``read`` give images as they were encoded."""
        from datasets import Image

        self._encoded = {
            name: part.cast_column(self._image, Image(decode=False))
            for name, part in self.parts.items()
        }

    def _list_part(self, name: str) -> Iterator[ImageRow]:
        part = self.parts[name]
        labels, columns = list(part[self._label]), self._columns
        groups = self._read(part, columns.group)
        times = self._read(part, columns.time)
        splits = [name] * len(labels) if len(self.parts) > 1 else None
        if splits is None and self._has_split:
            splits = self._read(part, columns.split)
        where = self._root / name
        seconds = times and read_times(times, table=where, column=str(columns.time))
        for index, label in enumerate(labels):
            if label is None or label == -1:
                raise InputError("must have a label", where=f"{where}: row {index}", found=label)
            yield ImageRow(
                number=index,
                path=f"{name}/{index}",
                label=self._names[label] if self._names else str(label),
                split=splits[index] if splits else None,
                group=groups[index] if groups else None,
                time=seconds[index] if seconds else None,
            )

    def _read(self, part: Any, column: str | None) -> list[str] | None:
        if column is None:
            return None
        return [
            value.isoformat() if isinstance(value, date) else str(value) for value in part[column]
        ]


def _open(root: Path) -> dict[str, Any]:
    if find_spec("datasets") is None:
        raise InputError(
            "needs the package datasets",
            where="dataset huggingface",
            remedy="Install it: pip install 'searchlab[huggingface]'",
        )
    from datasets import Dataset, load_from_disk

    try:
        saved = load_from_disk(str(root))
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"is no dataset that Hugging Face's datasets saved ({reason})",
            where=str(root),
            remedy="Make one with: datasets.load_dataset(...).save_to_disk(FOLDER)",
        ) from error
    return {_WHOLE: saved} if isinstance(saved, Dataset) else dict(saved)


def _find_column(root: Path, field: str, name: str, features: Any, kind: str) -> str:
    """Return the column that is named, or else the only one of its kind."""
    if name in features:
        return name
    of_kind: list[str] = [
        one for one, feature in features.items() if type(feature).__name__ == kind
    ]
    was_named = name != ColumnsSpec.model_fields[field].default
    if was_named or len(of_kind) != 1:
        raise _no_column(root, name, features)
    return of_kind[0]


def _no_column(root: Path, name: str, features: Any) -> InputError:
    return InputError(
        "must have the columns that dataset.columns names",
        where=str(root),
        found=sorted(features),
        remedy=f"There is no {name}. {did_you_mean(name, list(features))}",
    )


def _find_classes(root: Path, request: DatasetRequest) -> tuple[str, ...]:
    saved = _Saved(root, request.columns)
    return saved.name_classes(saved.list_rows())


def _scan(root: Path, request: DatasetRequest) -> ImageTree:
    saved = _Saved(root, request.columns)
    rows = saved.list_rows()
    classes = saved.name_classes(rows)
    labels = {name: label for label, name in enumerate(classes)}
    # Images have no size or time of their own: any change of the data is one of all.
    files = [
        (row, ImageFile(row.path, labels[row.label], 0, saved.changed_ns, row.group, row.time))
        for row in rows
    ]
    train, test, unread = arrange(root, files, classes, request.columns)
    saved.prepare()
    return ImageTree(
        root=root, classes=classes, train=train, test=test, unread=unread, read=saved.read
    )


register_image_tree(
    name="huggingface",
    summary="images that Hugging Face's datasets saved on disk; give the folder and a size",
    tree=TreeSource(
        folder=None,
        default_size=None,
        reader=TreeReader(takes="folder", find_classes=_find_classes, scan=_scan),
    ),
    root_is="the folder that save_to_disk wrote",
)
