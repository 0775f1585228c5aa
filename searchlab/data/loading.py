"""Loading the images of a request, or only the facts that models must know beforehand."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from searchlab.config.relative_paths import expand_user
from searchlab.config.text_files import near_paths
from searchlab.control_characters import escape_line
from searchlab.data.decoding import Progress
from searchlab.data.files import fetch_command
from searchlab.data.folder_listing import is_file, is_folder
from searchlab.data.image_cache import load_decoded
from searchlab.data.image_data import ImageData, Labels
from searchlab.data.image_tree import ImageFile, ImageTree
from searchlab.data.registry import Dataset, TreeSource, get_dataset, list_datasets
from searchlab.data.request import DatasetFacts, DatasetRequest
from searchlab.data.stale_entries import RemovedEntry, remove_stale_entries
from searchlab.data.subset import limit_training
from searchlab.data.unread_files import Reason, Unread, describe_unread
from searchlab.errors import InputError

__all__ = ["count_images", "describe_dataset", "load_dataset", "prune_cache"]

logger = logging.getLogger(__name__)

_MIN_SIZE, _MAX_SIZE = 8, 1024
_NAMED_FILES = 3


def load_dataset(
    request: DatasetRequest | str, data_dir: Path, *, on_progress: Progress | None = None
) -> ImageData:
    """Load a dataset from ``data_dir``, or an image folder from its root; nothing is downloaded.

    Image files are decoded only the first time; ``on_progress`` is told how far. Raises
    ``InputError`` if the name is unknown, the request does not suit the dataset, or a file is
    missing or damaged.
    """
    request = _as_request(request)
    dataset = get_dataset(request.name)
    _check_request(dataset, request)
    _check_present(dataset, data_dir)
    if dataset.tree is not None:
        data = _load_tree(dataset, dataset.tree, request, data_dir, on_progress)
    elif dataset.arrays is not None:
        data = dataset.arrays.load(_resolve_root(request, "file"))
    else:
        data = _load_fixed(dataset, data_dir)
    return data if request.limit is None else limit_training(data, request.limit)


def prune_cache(request: DatasetRequest, data_dir: Path) -> tuple[RemovedEntry, ...]:
    """Remove images decoded at the request's size and fit from files that have changed since.

    Other folders, sizes and fits are untouched, and a dataset without image files has nothing to
    remove. Raises ``InputError`` as ``load_dataset`` does.
    """
    dataset = get_dataset(request.name)
    _check_request(dataset, request)
    _check_present(dataset, data_dir)
    if dataset.tree is None:
        return ()
    tree = _scan(dataset.tree, request, data_dir)
    size = _size(dataset.tree, request)
    return remove_stale_entries(tree, size=size, fit=request.fit, data_dir=data_dir)


def describe_dataset(request: DatasetRequest | str, data_dir: Path) -> DatasetFacts:
    """Return shape and classes without reading an image.

    A named dataset need not be downloaded if it is registered with them.

    Raises ``InputError`` if the request does not suit the dataset, or if a folder's classes cannot
    be found.
    """
    request = _as_request(request)
    dataset = get_dataset(request.name)
    _check_request(dataset, request)
    if dataset.arrays is not None:
        return dataset.arrays.describe(_resolve_root(request, "file"))
    if dataset.tree is None:
        assert dataset.facts is not None, f"{dataset.name} was registered with them"
        return dataset.facts
    size = _size(dataset.tree, request)
    if dataset.facts is not None:
        return DatasetFacts(image_shape=(3, size, size), num_classes=dataset.facts.num_classes)
    _check_present(dataset, data_dir)
    root = _tree_root(dataset.tree, request, data_dir)
    classes = dataset.tree.reader.find_classes(root, request)
    return DatasetFacts(image_shape=(3, size, size), num_classes=len(classes), class_names=classes)


def count_images(name: str, data_dir: Path) -> tuple[int | None, int | None]:
    """Return how many training and test images a dataset has; None if that is unknown."""
    dataset = get_dataset(name)
    if dataset.tree is None or dataset.tree.folder is None or not dataset.is_present(data_dir):
        return dataset.num_train, dataset.num_test
    try:
        tree = dataset.tree.reader.scan(data_dir / dataset.tree.folder, DatasetRequest(name=name))
    except InputError:  # missing or invalid; loading it raises the error
        return None, None
    return len(tree.train), len(tree.test)


def _as_request(request: DatasetRequest | str) -> DatasetRequest:
    return DatasetRequest(name=request) if isinstance(request, str) else request


def _check_request(dataset: Dataset, request: DatasetRequest) -> None:
    """Raise InputError if a choice does not suit the dataset or a required one is missing."""
    if request.limit is not None and request.limit < 1:
        raise InputError("must be at least 1", where=("dataset", "limit"), found=request.limit)
    if dataset.root_is and request.root is None:
        raise InputError(
            f"is required with dataset {dataset.name}",
            where=("dataset", "root"),
            remedy=f"Give {dataset.root_is}",
        )
    if not dataset.root_is:
        _refuse_root(dataset, request)
    if dataset.tree is None:
        _refuse_choices(dataset, request)
        return
    if request.size is None and dataset.tree.default_size is None:
        raise InputError(
            f"is required with dataset {dataset.name}",
            where=("dataset", "size"),
            remedy="Give the side in pixels to which all images are resized, such as 64",
        )
    if request.size is not None and not _MIN_SIZE <= request.size <= _MAX_SIZE:
        raise InputError(
            f"must be in {_MIN_SIZE}..{_MAX_SIZE}", where=("dataset", "size"), found=request.size
        )


def _refuse_choices(dataset: Dataset, request: DatasetRequest) -> None:
    if request.size is not None:
        sizes = "have a size" if dataset.facts is None else _write_size(dataset.facts)
        raise InputError(
            f"cannot be chosen for {dataset.name}, whose images {sizes}",
            where=("dataset", "size"),
            found=request.size,
            remedy="Omit it",
        )
    if request.fit != "crop":
        raise InputError(
            f"is only for datasets of image files, and {dataset.name} is not one",
            where=("dataset", "fit"),
            found=request.fit,
            remedy="Omit it",
        )
    if request.skip_broken:
        raise InputError(
            f"is only for datasets of image files, and {dataset.name} is not one",
            where=("dataset", "skip_broken"),
            remedy="Omit it",
        )


def _write_size(facts: DatasetFacts) -> str:
    _, height, width = facts.image_shape
    return f"are {height}x{width}"


def _refuse_root(dataset: Dataset, request: DatasetRequest) -> None:
    if request.root is not None:
        own = [name for name in list_datasets() if get_dataset(name).root_is]
        raise InputError(
            f"is only for your own images ({', '.join(own)}); {dataset.name} is read from the "
            "data folder",
            where=("dataset", "root"),
            found=str(request.root),
            remedy="Omit it, and set the data folder with --data-dir",
        )


def _check_present(dataset: Dataset, data_dir: Path) -> None:
    missing = dataset.find_missing(data_dir)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{dataset.name} is not in {data_dir}: {missing[0]}{more} not found",
            where=("dataset",),
            remedy=f"Run: {fetch_command(dataset.name, data_dir)}"
            if dataset.downloadable
            else f"Put it there; searchlab cannot download it. Its source: {dataset.source}",
        )


def _load_fixed(dataset: Dataset, data_dir: Path) -> ImageData:
    assert dataset.load is not None
    data = dataset.load(data_dir)
    for field in ("image_shape", "num_classes"):
        registered, found = getattr(dataset, field), getattr(data, field)
        if found != registered:  # models were checked against the registered facts
            raise InputError(
                f"{dataset.name} must have the {field} it was registered with, {registered}",
                where=("dataset",),
                found=found,
            )
    return data if dataset.facts is None else replace(data, class_names=dataset.facts.class_names)


def _load_tree(
    dataset: Dataset,
    source: TreeSource,
    request: DatasetRequest,
    data_dir: Path,
    on_progress: Progress | None,
) -> ImageData:
    tree = _scan(source, request, data_dir)
    if dataset.facts is not None and len(tree.classes) != dataset.num_classes:
        raise InputError(
            f"must have {dataset.num_classes} class folders",
            where=str(tree.root),
            found=len(tree.classes),
        )
    decoded = load_decoded(
        tree,
        size=_size(source, request),
        fit=request.fit,
        skip_broken=request.skip_broken,
        data_dir=data_dir,
        on_progress=on_progress or (lambda _done, _total: None),
    )
    skipped = (*tree.broken_links, *decoded.skipped)
    unread = _find_unread(tree, source, decoded.with_frames)
    _warn_of_skipped(skipped, tree.root)
    if unread:
        logger.warning("not read in %s: %s", escape_line(str(tree.root)), describe_unread(unread))
    return ImageData(
        name=dataset.name,
        train_images=decoded.train_images,
        train_labels=decoded.train_labels,
        test_images=decoded.test_images,
        test_labels=decoded.test_labels,
        num_classes=len(tree.classes),
        num_skipped=len(skipped),
        unread=unread,
        bits=decoded.bits,
        fit=request.fit,
        mapped_files=decoded.files,
        train_sums=decoded.train_sums,
        class_names=tree.classes,
        train_files=tuple(file.path for file in _list_read(tree.train, decoded.skipped)),
        test_files=tuple(file.path for file in _list_read(tree.test, decoded.skipped)),
        train_groups=_number_groups(_list_read(tree.train, decoded.skipped)),
        train_times=_number_times(_list_read(tree.train, decoded.skipped)),
    )


def _list_read(files: Sequence[ImageFile], skipped: Sequence[str]) -> list[ImageFile]:
    not_read = set(skipped)
    return [file for file in files if file.path not in not_read]


def _number_groups(files: Sequence[ImageFile]) -> Labels | None:
    """Return each file's group as a number, in the order in which they come; None without any."""
    numbers: dict[str, int] = {}
    groups = [
        numbers.setdefault(file.group, len(numbers)) for file in files if file.group is not None
    ]
    return np.array(groups, dtype=np.int64) if groups else None


def _number_times(files: Sequence[ImageFile]) -> Labels | None:
    """Return each file's place among the different times; None without any."""
    times = [file.time for file in files if file.time is not None]
    return np.unique(times, return_inverse=True)[1].astype(np.int64) if times else None


def _find_unread(
    tree: ImageTree, source: TreeSource, with_frames: Sequence[str]
) -> tuple[Unread, ...]:
    """Return what is not read; a registered dataset's own tables and notes are no surprise."""
    known = Reason.NO_IMAGE if source.folder is not None else None
    unread = [entry for entry in tree.unread if entry.reason is not known]
    if with_frames:
        count = len(with_frames)
        unread.append(Unread(reason=Reason.FRAMES, count=count, example=with_frames[0]))
    return tuple(unread)


def _size(source: TreeSource, request: DatasetRequest) -> int:
    size = request.size or source.default_size
    assert size is not None, "the request was checked"
    return size


def _scan(source: TreeSource, request: DatasetRequest, data_dir: Path) -> ImageTree:
    return source.reader.scan(_tree_root(source, request, data_dir), request)


def _tree_root(source: TreeSource, request: DatasetRequest, data_dir: Path) -> Path:
    if source.folder is not None:
        return data_dir / source.folder
    return _resolve_root(request, source.reader.takes)


def _resolve_root(request: DatasetRequest, takes: Literal["folder", "file"]) -> Path:
    assert request.root is not None, "the request was checked"
    root = expand_user(request.root).absolute()
    if not (is_folder(root) if takes == "folder" else is_file(root)):
        raise InputError(
            f"must be an existing {takes}",
            where=("dataset", "root"),
            found=str(root),
            remedy=near_paths(root, folders=takes == "folder"),
        )
    return root


def _warn_of_skipped(skipped: tuple[str, ...], root: Path) -> None:
    if skipped:
        more = len(skipped) - _NAMED_FILES
        logger.warning(
            "skipped %d image file%s of %s that cannot be used: %s%s",
            len(skipped),
            "s" if len(skipped) > 1 else "",
            escape_line(str(root)),
            escape_line(", ".join(skipped[:_NAMED_FILES])),
            f" and {more} more" if more > 0 else "",
        )
