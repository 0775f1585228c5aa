"""Where the class folders of a tree of images are: at its root, or under training and test."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchlab.data.folder_listing import FolderEntry, list_folder
from searchlab.data.request import unusable_file
from searchlab.errors import InputError

__all__ = ["TEST", "TRAIN", "VALIDATION", "TreeLayout", "broken_link_error", "find_layout"]

TRAIN = frozenset({"train", "training"})
TEST = frozenset({"test", "testing"})
VALIDATION = frozenset({"val", "valid", "validation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLayout:
    """The folders that hold the class folders; no ``test`` means a fifth of ``train``."""

    train: Path
    test: Path | None
    classes: tuple[str, ...]


def find_layout(root: Path, *, skip_broken: bool = False) -> TreeLayout:
    """Find the class folders only, which is cheap for any number of images.

    Raises ``InputError`` if there are none or only one, if those of training and test differ, or
    if one is a link that leads nowhere, unless ``skip_broken``.
    """
    folders = _list_folders(root, skip_broken)
    train = _find_part(folders, TRAIN)
    # A folder `train` that holds only images is a class: trains, beside planes and ships.
    if train is None or not (names := _list_folders(train, skip_broken)):
        _refuse_split_without_classes(folders)
        return TreeLayout(train=root, test=None, classes=_check_classes(root, folders))
    or_split = f", or give {train} as the root; a fifth of each class then becomes the test set"
    test = _find_part(folders, TEST) or _find_part(folders, VALIDATION)
    if test is None:
        raise InputError(
            f"must have a test or val folder beside {train.name}",
            where=str(root),
            remedy=f"Add one{or_split}",
        )
    classes = _check_classes(train, names)
    others = {path.name for path in _list_folders(test, skip_broken)}
    if others != set(classes):
        lacking = [f"no {name}" for name in classes if name not in others]
        raise InputError(
            f"must have the same class folders as {train}",
            where=str(test),
            found=lacking + sorted(others - set(classes)),
            remedy=f"Add or rename folders{or_split}",
        )
    return TreeLayout(train=train, test=test, classes=classes)


def broken_link_error(link: FolderEntry) -> InputError:
    """Return the error about a link that leads nowhere."""
    return unusable_file(f"is a link that leads nowhere ({link.fault})", link.path)


def _list_folders(folder: Path, skip_broken: bool) -> list[Path]:
    """List what may be class folders; a broken link may have led to one."""
    entries = list_folder(folder)
    if not skip_broken:
        for entry in entries:
            if entry.kind == "broken link":
                raise broken_link_error(entry)
    return [entry.path for entry in entries if entry.kind == "folder" and not entry.is_hidden]


def _find_part(folders: Sequence[Path], names: Collection[str]) -> Path | None:
    found = [folder for folder in folders if folder.name.casefold() in names]
    if len(found) > 1:
        raise InputError(
            f"must have one folder that is called {' or '.join(sorted(names))}",
            where=str(found[0].parent),
            found=[folder.name for folder in found],
        )
    return found[0] if found else None


def _refuse_split_without_classes(folders: Sequence[Path]) -> None:
    """Refuse training and test folders that hold images: they are no classes."""
    train, *others = (_find_part(folders, names) for names in (TRAIN, TEST, VALIDATION))
    if train is not None and any(others):
        raise InputError(
            "must have one folder per class",
            where=str(train),
            remedy=f"{train.parent} is a split into training and test by the names of its "
            "folders, and these need class folders",
        )


def _check_classes(folder: Path, folders: Sequence[Path]) -> tuple[str, ...]:
    names = tuple(path.name for path in folders)
    if len(names) < 2:
        inside = len(list_folder(folders[0])) if folders else 0
        raise InputError(
            "must have one folder per class, and two or more classes",
            where=str(folder),
            found=list(names),
            remedy=f"If the classes are in {folders[0]}, give that folder" if inside else None,
        )
    return names
