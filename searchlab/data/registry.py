"""The datasets by name. A dataset is a loader under the decorator ``register_dataset``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from searchlab.data.files import fetch_command, fetch_files
from searchlab.data.image_data import ImageData
from searchlab.errors import InputError, did_you_mean

__all__ = [
    "Dataset",
    "get_dataset",
    "list_datasets",
    "load_dataset",
    "register_dataset",
    "resolve_data_dir",
]

Loader = Callable[[Path], ImageData]
_DATASETS: dict[str, Dataset] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What is known of a dataset without loading it, and how to load and fetch it.

    ``image_shape`` is (C, H, W). ``files`` are what ``load`` needs, relative to the data folder;
    a dataset without files comes with an installed package. ``download`` fills an empty folder
    with the files, from ``source``; ``archives`` are what it downloads and unpacks, where that
    differs from the files.
    """

    name: str
    image_shape: tuple[int, int, int]
    num_classes: int
    num_train: int
    num_test: int
    summary: str
    load: Loader
    files: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    source: str = ""
    download: Callable[[Path], None] | None = None

    @property
    def downloadable(self) -> bool:
        """Whether ``fetch`` may have something to do."""
        return self.download is not None

    def find_missing(self, root: Path) -> tuple[str, ...]:
        """Return the needed files that are not under ``root``."""
        return tuple(file for file in self.files if not (root / file).is_file())

    def is_present(self, root: Path) -> bool:
        """Tell whether ``load(root)`` finds all its files."""
        return not self.find_missing(root)

    def fetch(self, root: Path) -> None:
        """Download what is missing under ``root``; present files are neither read nor replaced.

        Raises ``SearchlabError`` where the source cannot be reached, ``InputError`` where
        ``root`` cannot be written.
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
    num_train: int,
    num_test: int,
    summary: str,
    files: tuple[str, ...] = (),
    archives: tuple[str, ...] = (),
    source: str = "",
    download: Callable[[Path], None] | None = None,
) -> Callable[[Loader], Loader]:
    """Register the decorated loader as dataset ``name``; a taken name raises ``ValueError``.

    The fields are those of ``Dataset``.
    """

    def register(load: Loader) -> Loader:
        if name in _DATASETS:
            raise ValueError(f"Dataset names must be unique, but {name=} is registered twice.")
        _DATASETS[name] = Dataset(
            name=name,
            image_shape=image_shape,
            num_classes=num_classes,
            num_train=num_train,
            num_test=num_test,
            summary=summary,
            load=load,
            files=files,
            archives=archives,
            source=source,
            download=download,
        )
        return load

    return register


def get_dataset(name: str) -> Dataset:
    """Return the dataset of that name; an unknown name raises ``InputError`` with the nearest."""
    if name not in _DATASETS:
        raise InputError(
            "must be a known dataset",
            where="dataset.name",
            found=name,
            remedy=did_you_mean(name, _DATASETS),
        )
    return _DATASETS[name]


def list_datasets() -> tuple[str, ...]:
    """Return the registered names in alphabetical order."""
    return tuple(sorted(_DATASETS))


def load_dataset(name: str, data_dir: Path) -> ImageData:
    """Load a dataset from ``data_dir``; nothing is ever downloaded here.

    Raises ``InputError`` where the name is unknown, files are missing, or a file is damaged.
    """
    dataset = get_dataset(name)
    missing = dataset.find_missing(data_dir)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"is not in {data_dir}: {missing[0]}{more} not found",
            where=f"dataset {name}",
            remedy=f"Run: {fetch_command(name, data_dir)}",
        )
    return dataset.load(data_dir)


def resolve_data_dir(option: Path | None) -> Path:
    """Return the data folder, absolute: the option, else $SEARCHLAB_DATA, else the user's cache."""
    if option is None and (variable := os.environ.get("SEARCHLAB_DATA")):
        option = Path(variable)
    if option is None:
        from platformdirs import user_cache_path

        option = user_cache_path("searchlab") / "data"
    return option.expanduser().absolute()
