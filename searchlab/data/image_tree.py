"""Image files in one folder per class, as a training set and a test set.

The layout is ``ROOT/train/CLASS/*`` with ``ROOT/test/CLASS/*``, or with ``ROOT/val/CLASS/*`` if
there is no test folder; or it is ``ROOT/CLASS/*``, and a fifth of each class becomes the test set.
``train`` may be called ``training`` as well, ``test`` ``testing``, ``val`` ``valid`` or
``validation``, in capitals or not. A file is an image by its content, whatever it is called. What
is not read is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from searchlab.config.seeds import derive_seed
from searchlab.data.folder_listing import FolderEntry, list_folder
from searchlab.data.image_formats import has_image_name, has_other_image_name, holds_image
from searchlab.data.pil_setup import opening_images
from searchlab.data.tree_layout import TreeLayout, broken_link_error, find_layout
from searchlab.data.unread_files import Reason, Unread, UnreadFiles, describe_unread
from searchlab.errors import InputError

__all__ = ["ImageFile", "ImageTree", "find_reason", "hold_out_test", "scan_tree"]

_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file: ``path`` is relative to the tree's root, with ``/`` between its parts.

    ``group`` is what it has in common with others, and ``time`` when it was taken, in seconds or
    whatever unit the tree's files share; None if nothing is known of it.
    """

    path: str
    label: int
    num_bytes: int
    mtime_ns: int
    group: str | None = None
    time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTree:
    """All files of a tree in a fixed order, by class and by name.

    ``unread`` counts what else lies there; ``broken_links`` are relative to ``root``. ``read``
    returns the content of an image that is no file of its own; None if all are files.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]
    unread: tuple[Unread, ...] = ()
    broken_links: tuple[str, ...] = ()
    read: Callable[[ImageFile], bytes] | None = None


def scan_tree(root: Path, *, skip_broken: bool = False) -> ImageTree:
    """List the images of every class, and count what is not read.

    Raises ``InputError`` naming an empty class folder, a path that cannot be read, or a link that
    leads nowhere, unless ``skip_broken``.
    """
    layout = find_layout(root, skip_broken=skip_broken)
    with opening_images():
        return _Scan(root, layout, skip_broken).run()


class _Scan:
    """Walks a tree once."""

    def __init__(self, root: Path, layout: TreeLayout, skip_broken: bool) -> None:
        self._root = root
        self._layout = layout
        self._skip_broken = skip_broken
        self._unread = UnreadFiles(root)
        self._broken_links: list[str] = []
        self._class_folders: set[tuple[int, int]] = set()  # identities

    def run(self) -> ImageTree:
        layout = self._layout
        train = self._scan_part(layout.train)
        if layout.test is None:
            parts = [
                hold_out_test(files, name, where=f"class folder {layout.train / name}")
                for name, files in zip(layout.classes, train, strict=True)
            ]
            train, test = [kept for kept, _ in parts], [held for _, held in parts]
        else:
            test = self._scan_part(layout.test)
            self._count_beside({layout.train, layout.test})
        return ImageTree(
            root=self._root,
            classes=layout.classes,
            train=tuple(file for files in train for file in files),
            test=tuple(file for files in test for file in files),
            unread=self._unread.listing(),
            broken_links=tuple(self._broken_links),
        )

    def _scan_part(self, part: Path) -> list[list[ImageFile]]:
        classes = set(self._layout.classes)

        def is_class(entry: FolderEntry) -> bool:
            return entry.kind == "folder" and entry.name in classes

        entries = list_folder(part)
        self._class_folders |= {entry.identity for entry in entries if is_class(entry)}
        for entry in entries:
            if not is_class(entry):
                self._is_aside(entry, within=Reason.UNUSED, here=Reason.OUTSIDE)
        return [
            self._scan_class(part / name, label) for label, name in enumerate(self._layout.classes)
        ]

    def _count_beside(self, used: set[Path]) -> None:
        for entry in list_folder(self._root):
            if entry.path not in used:
                self._is_aside(entry, within=Reason.UNUSED, here=Reason.OUTSIDE)

    def _scan_class(self, folder: Path, label: int) -> list[ImageFile]:
        entries = list_folder(folder)
        images = [entry for entry in entries if not self._is_aside(entry, within=Reason.SUBFOLDER)]
        if not images:
            raise self._find_empty(folder, entries)
        prefix = folder.relative_to(self._root).as_posix()
        return [
            ImageFile(f"{prefix}/{entry.name}", label, entry.num_bytes, entry.mtime_ns)
            for entry in images
        ]

    def _find_empty(self, folder: Path, entries: list[FolderEntry]) -> InputError:
        self._unread = UnreadFiles(self._root)  # of this class alone
        for entry in entries:
            self._is_aside(entry, within=Reason.SUBFOLDER)
        unread = self._unread.listing()
        remedy = "Add some, or remove the folder"
        if self._layout.test is None and self._holds_folders_only():  # training_set/CLASS/*
            remedy += f". If the folders in {self._root} are a split, call them train and test"
        return InputError(
            "must contain images",
            where=f"class folder {folder}",
            remedy=f"It holds {describe_unread(unread)}. {remedy}" if unread else remedy,
        )

    def _holds_folders_only(self) -> bool:
        """Return whether every class folder holds folders, and nothing else."""
        held = [list_folder(self._layout.train / name) for name in self._layout.classes]
        return all(held) and all(entry.kind == "folder" for entries in held for entry in entries)

    def _is_aside(self, entry: FolderEntry, *, within: Reason, here: Reason | None = None) -> bool:
        """Count an entry that is not read, and return whether it is one.

        ``within`` is the reason for images in it, if it is a folder; ``here`` for an image itself.
        """
        if entry.kind == "broken link":
            if not self._skip_broken:
                raise broken_link_error(entry)
            self._broken_links.append(entry.path.relative_to(self._root).as_posix())
            return True
        if entry.kind == "folder" and not entry.is_hidden:
            self._count_within(entry, within)
            return True
        reason = find_reason(entry) or here
        if reason is not None:
            self._unread.add(reason, entry.path)
        return reason is not None

    def _count_within(self, folder: FolderEntry, reason: Reason) -> None:
        """Count all that a folder holds; nothing in it stops the scan, because it is not read."""
        # A link may lead back, or to what is read.
        seen, waiting = {folder.identity, *self._class_folders}, [folder.path]
        while waiting:
            place = waiting.pop()
            try:
                entries = list_folder(place)
            except InputError:
                self._unread.add(Reason.NO_ACCESS, place)
                continue
            deeper = []
            for entry in entries:
                if entry.kind == "folder" and not entry.is_hidden:
                    if entry.identity not in seen:
                        seen.add(entry.identity)
                        deeper.append(entry.path)
                else:
                    self._unread.add(find_reason(entry) or reason, entry.path)
            waiting += reversed(deeper)


def find_reason(entry: FolderEntry) -> Reason | None:
    """Return why an entry is no image to read by itself; None for an image.

    Call it inside ``opening_images``.
    """
    if entry.is_hidden:
        return Reason.HIDDEN
    if entry.kind == "broken link":
        return Reason.NO_ACCESS
    if entry.kind != "file":
        return Reason.SPECIAL
    if has_image_name(entry.name):
        return None
    try:
        if holds_image(entry.path):
            return None
    except OSError:
        return Reason.NO_ACCESS
    return Reason.OTHER_FORMAT if has_other_image_name(entry.name) else Reason.NO_IMAGE


def hold_out_test(
    files: list[ImageFile], name: str, *, where: str
) -> tuple[list[ImageFile], list[ImageFile]]:
    """Keep a fifth of a class for the test set, at least one image.

    Each file's draw depends on its class's name and its own, so one more file hardly changes the
    rest. Raises ``InputError`` if there is no second image.
    """
    if len(files) < 2:
        raise InputError(
            "must contain at least two images, one for training and one for the test",
            where=where,
            found=len(files),
        )
    drawn = sorted(files, key=lambda file: derive_seed("test split", name, Path(file.path).name))
    held = set(drawn[: max(1, round(len(files) * _TEST_SHARE))])
    return [file for file in files if file not in held], [file for file in files if file in held]
