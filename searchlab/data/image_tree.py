"""Image files in one folder per class, as a training set and a test set.

The layout is ``ROOT/train/CLASS/*`` with ``ROOT/test/CLASS/*``, or with ``ROOT/val/CLASS/*`` if
there is no test folder; or it is ``ROOT/CLASS/*``, and a fifth of each class becomes the test set.
Names that begin with a dot, and files without an image's ending, are ignored.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from searchlab.config.seeds import derive_seed
from searchlab.errors import InputError

__all__ = ["ImageFile", "ImageTree", "TreeLayout", "find_layout", "scan_tree"]

logger = logging.getLogger(__name__)

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLayout:
    """The folders that hold the class folders; no ``test`` means a fifth of ``train``."""

    train: Path
    test: Path | None
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file: ``path`` is relative to the tree's root, with ``/`` between its parts."""

    path: str
    label: int
    num_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTree:
    """All files of a tree in a fixed order, by class and by name."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]


def find_layout(root: Path) -> TreeLayout:
    """Find the class folders only, which is cheap for any number of images.

    Raises ``InputError`` if there are none or only one, or if those of training and test differ.
    """
    train = root / "train"
    # A folder `train` that holds only images is a class: trains, beside planes and ships.
    if not (train.is_dir() and _folder_names(train)):
        return TreeLayout(train=root, test=None, classes=_find_classes(root))
    test = _find_test_folder(root)
    classes = _find_classes(train)
    if (others := _find_classes(test)) != classes:
        lacking, extra = set(classes) - set(others), set(others) - set(classes)
        found = [f"no {name}" for name in sorted(lacking)] + sorted(extra)
        raise InputError(
            f"must have the same class folders as {train}", where=str(test), found=found
        )
    return TreeLayout(train=train, test=test, classes=classes)


def scan_tree(root: Path) -> ImageTree:
    """List the images of every class. Raises ``InputError`` naming an empty class folder."""
    layout = find_layout(root)
    train = [_scan_class(layout.train, layout, label, root) for label in _labels(layout)]
    if layout.test is None:
        parts = [_split(files, layout.train / layout.classes[files[0].label]) for files in train]
        train, test = [kept for kept, _ in parts], [held for _, held in parts]
    else:
        test = [_scan_class(layout.test, layout, label, root) for label in _labels(layout)]
    return ImageTree(
        root=root,
        classes=layout.classes,
        train=tuple(file for files in train for file in files),
        test=tuple(file for files in test for file in files),
    )


def _labels(layout: TreeLayout) -> range:
    return range(len(layout.classes))


def _find_test_folder(root: Path) -> Path:
    found = [root / name for name in ("test", "val") if (root / name).is_dir()]
    if not found:
        raise InputError(
            "must have a test or val folder beside train",
            where=str(root),
            remedy=f"Add one, or give {root / 'train'} as the root; a fifth of each class then "
            "becomes the test set",
        )
    if len(found) > 1:
        logger.warning("%s is not used: the test set is %s", found[1], found[0])
    return found[0]


def _find_classes(folder: Path) -> tuple[str, ...]:
    names = _folder_names(folder)
    if len(names) < 2:
        raise InputError(
            "must have one folder per class, and two or more classes",
            where=str(folder),
            found=list(names),
        )
    return names


def _folder_names(folder: Path) -> tuple[str, ...]:
    with _listing(folder) as entries:
        return tuple(
            sorted(
                entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")
            )
        )


def _listing(folder: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    try:
        return os.scandir(folder)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(folder)) from error


def _scan_class(part: Path, layout: TreeLayout, label: int, root: Path) -> list[ImageFile]:
    folder = part / layout.classes[label]
    prefix = folder.relative_to(root).as_posix()
    with _listing(folder) as entries:
        images = sorted(
            (entry for entry in entries if _is_image(entry)), key=lambda entry: entry.name
        )
        if not images:
            raise InputError(
                f"must contain images ({', '.join(_ENDINGS)})",
                where=f"class folder {folder}",
                remedy="Add some, or remove the folder",
            )
        return [_describe(entry, prefix, label) for entry in images]


def _is_image(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    return not name.startswith(".") and name.lower().endswith(_ENDINGS) and not entry.is_dir()


def _describe(entry: os.DirEntry[str], prefix: str, label: int) -> ImageFile:
    try:
        status = entry.stat()
    except OSError as error:  # a broken link
        raise InputError(f"cannot be read ({error.strerror})", where=entry.path) from error
    return ImageFile(f"{prefix}/{entry.name}", label, status.st_size, status.st_mtime_ns)


def _split(files: list[ImageFile], folder: Path) -> tuple[list[ImageFile], list[ImageFile]]:
    """Keep a fifth of a class for the test set, at least one image.

    Each file's draw depends on its class and name, so one more file hardly changes the rest.
    """
    if len(files) < 2:
        raise InputError(
            "must contain at least two images, one for training and one for the test",
            where=f"class folder {folder}",
            found=len(files),
        )
    drawn = sorted(
        files, key=lambda file: derive_seed("test split", folder.name, Path(file.path).name)
    )
    held = set(drawn[: max(1, round(len(files) * _TEST_SHARE))])
    return [file for file in files if file not in held], [file for file in files if file in held]
