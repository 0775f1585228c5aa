"""The registry of datasets: each is a decorated loader or a tree of image files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from searchlab.config.relative_paths import expand_user
from searchlab.data.files import fetch_files
from searchlab.data.folder_listing import exists
from searchlab.data.image_data import ImageData
from searchlab.data.image_tree import ImageTree, scan_tree
from searchlab.data.request import DatasetFacts, DatasetRequest
from searchlab.data.tree_layout import find_layout
from searchlab.errors import InputError, did_you_mean

__all__ = [
    "CLASS_FOLDERS",
    "ArraySource",
    "Dataset",
    "TreeReader",
    "TreeSource",
    "get_dataset",
    "list_datasets",
    "register_arrays",
    "register_dataset",
    "register_image_tree",
    "resolve_data_dir",
]

Loader = Callable[[Path], ImageData]
_DATASETS: dict[str, Dataset] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeReader:
    """How to find the images of a root: ``takes`` says whether that is a folder or a file.

    ``find_classes`` opens no image; ``scan`` lists all of them.
    """

    takes: Literal["folder", "file"]
    find_classes: Callable[[Path, DatasetRequest], tuple[str, ...]]
    scan: Callable[[Path, DatasetRequest], ImageTree]


CLASS_FOLDERS = TreeReader(
    takes="folder",
    find_classes=lambda root, request: find_layout(root, skip_broken=request.skip_broken).classes,
    scan=lambda root, request: scan_tree(root, skip_broken=request.skip_broken),
)
"""A folder with a folder for each class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSource:
    """The place of a tree of image files: ``folder`` in the data folder, or the request's root.

    ``default_size`` is the side of the images if a request gives none; None requires one.
    """

    folder: str | None
    default_size: int | None
    reader: TreeReader = CLASS_FOLDERS


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySource:
    """How to read images that lie decoded in the file that a request names as its root."""

    describe: Callable[[Path], DatasetFacts]
    load: Callable[[Path], ImageData]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What is known about a dataset without loading it, and how to load and fetch it.

    Its content comes from ``load``, given the data folder, from ``tree`` or ``arrays``. ``facts``
    is None if they follow from the request. ``root_is`` says what root a request must give; empty
    for none.
    ``files`` (or folders) are what loading needs, relative to the
    data folder; a dataset without any comes with an installed package or from the request's root.
    ``download`` fills an empty folder with the files, from ``source``; ``archives`` are what it
    downloads and unpacks, if they differ from the files.
    """

    name: str
    summary: str
    facts: DatasetFacts | None
    load: Loader | None = None
    tree: TreeSource | None = None
    arrays: ArraySource | None = None
    root_is: str = ""
    num_train: int | None = None
    num_test: int | None = None
    files: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    source: str = ""
    download: Callable[[Path], None] | None = None

    def __post_init__(self) -> None:
        contents = (self.load, self.tree, self.arrays)
        assert sum(one is not None for one in contents) == 1, f"{self.name}: one content"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a dataset that has a fixed one; raises ``InputError`` for ``folder``."""
        return self._own_facts().image_shape

    @property
    def num_classes(self) -> int:
        """Classes of a dataset that has a fixed number; raises ``InputError`` for ``folder``."""
        return self._own_facts().num_classes

    def _own_facts(self) -> DatasetFacts:
        if self.facts is None:
            raise InputError(
                f"{self.name} has no fixed shape or classes: they follow from the "
                "root and size in a study",
                where=("dataset",),
            )
        return self.facts

    @property
    def downloadable(self) -> bool:
        """Whether ``fetch`` can download it."""
        return self.download is not None

    def find_missing(self, root: Path) -> tuple[str, ...]:
        """Return the needed files that are not under ``root``."""
        return tuple(file for file in self.files if not exists(root / file))

    def is_present(self, root: Path) -> bool:
        """Return whether the data folder ``root`` has all the files that loading needs."""
        return not self.find_missing(root)

    def fetch(self, root: Path) -> None:
        """Download what is missing under ``root``; existing files are neither read nor replaced.

        Raises ``SearchlabError`` if the source cannot be reached, ``InputError`` if ``root`` cannot
        be written.
        """
        if self.download is None or self.is_present(root):
            return
        fetch_files(
            self.download,
            name=self.name,
            root=root,
            files=self.files,
            archives=self.archives,
            source=self.source,
        )


def register_dataset(
    *,
    name: str,
    image_shape: tuple[int, int, int],
    num_classes: int,
    class_names: tuple[str, ...] = (),
    num_train: int | None = None,
    num_test: int | None = None,
    summary: str,
    files: tuple[str, ...] = (),
    archives: tuple[str, ...] = (),
    source: str = "",
    download: Callable[[Path], None] | None = None,
) -> Callable[[Loader], Loader]:
    """Register the decorated loader as dataset ``name``; ``InputError`` if the name is taken.

    The loader is given the data folder and returns images of that shape in that many classes.
    ``Dataset`` describes the arguments.
    """

    def register(load: Loader) -> Loader:
        _add(
            Dataset(
                name=name,
                summary=summary,
                facts=DatasetFacts(
                    image_shape=image_shape, num_classes=num_classes, class_names=class_names
                ),
                load=load,
                num_train=num_train,
                num_test=num_test,
                files=files,
                archives=archives,
                source=source,
                download=download,
            )
        )
        return load

    return register


def register_image_tree(
    *,
    name: str,
    summary: str,
    tree: TreeSource,
    root_is: str = "",
    num_classes: int | None = None,
    files: tuple[str, ...] = (),
    archives: tuple[str, ...] = (),
    source: str = "",
    download: Callable[[Path], None] | None = None,
) -> None:
    """Register a tree of image files as dataset ``name``; ``InputError`` if the name is taken.

    ``image_tree`` describes the layout. Images are RGB and square; the number of classes is
    counted unless given.
    """
    facts = None
    if num_classes is not None and tree.default_size is not None:
        shape = (3, tree.default_size, tree.default_size)
        facts = DatasetFacts(image_shape=shape, num_classes=num_classes)
    _add(
        Dataset(
            name=name,
            summary=summary,
            facts=facts,
            tree=tree,
            root_is=root_is,
            files=files,
            archives=archives,
            source=source,
            download=download,
        )
    )


def register_arrays(*, name: str, summary: str, arrays: ArraySource, root_is: str) -> None:
    """Register decoded images in a file as dataset ``name``; ``InputError`` if it is taken."""
    _add(Dataset(name=name, summary=summary, facts=None, arrays=arrays, root_is=root_is))


def _add(dataset: Dataset) -> None:
    name = dataset.name
    if name in _DATASETS:
        raise InputError(
            f"the dataset {name!r} is already registered", remedy="Choose another name"
        )
    _DATASETS[name] = dataset


def get_dataset(name: str) -> Dataset:
    """Return the dataset of that name; ``InputError`` with the nearest names if there is none."""
    if name not in _DATASETS:
        raise InputError(
            "must be a known dataset",
            where=("dataset", "name"),
            found=name,
            remedy=did_you_mean(name, _DATASETS),
        )
    return _DATASETS[name]


def list_datasets() -> tuple[str, ...]:
    """Return the registered names in alphabetical order."""
    return tuple(sorted(_DATASETS))


def resolve_data_dir(option: Path | None) -> Path:
    """Return the data folder, absolute: the option, else $SEARCHLAB_DATA, else the user's cache."""
    if option is None and (variable := os.environ.get("SEARCHLAB_DATA")):
        option = Path(variable)
    if option is None:
        from platformdirs import user_cache_path

        option = user_cache_path("searchlab") / "data"
    return expand_user(option).absolute()
