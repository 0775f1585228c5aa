"""Decoded images on disk, mapped into memory, so that files are decoded once for all studies.

An entry is a folder of arrays in the data folder's ``.cache``, or in the user's cache if that
cannot be written. Its name changes if any file of the tree changes, so an entry is never out of
date, and deleting one is always safe. ``stale_entries`` removes those of an older tree.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchlab.config.dataset import Fit
from searchlab.data.decoding import Progress
from searchlab.data.image_data import Images, Labels
from searchlab.data.image_tree import ImageTree
from searchlab.data.statistics import ChannelSums
from searchlab.data.tree_decoding import PARTS, decode_tree, images_file, labels_file
from searchlab.errors import InputError

__all__ = [
    "PARTIAL",
    "DecodedImages",
    "entry_name",
    "is_of",
    "list_cache_roots",
    "load_decoded",
    "lock_path",
]

logger = logging.getLogger(__name__)

_FORMAT = 3  # raise it whenever the decoded pixels change, or what the index tells of them
_FIRST_FIT: Fit = "crop"  # the only one once; entries that name none have it
_ARRAYS = tuple(name(part) for part in PARTS for name in (images_file, labels_file))
_SUMS = "train_sums.npy"
_INDEX = "index.json"
_SOURCE = "source.json"
PARTIAL = ".partial"
"""Ending of the folder beside an entry in which it is made; a killed process may leave one."""
_CHUNK_BYTES = 2**22


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecodedImages:
    """The images of a tree: uint8 [N, 3, S, S], read-only, in the page cache.

    ``skipped`` are the unusable files, ``with_frames`` those of which only the first frame was
    decoded, relative to the tree's root. ``bits`` is the depth of files of 16 bits, if any.
    ``files`` hold the images, of the training and the test set; ``train_sums`` are None in an entry
    of an earlier version.
    """

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    skipped: tuple[str, ...]
    with_frames: tuple[str, ...]
    bits: int | None
    files: tuple[Path, Path]
    train_sums: ChannelSums | None


def load_decoded(
    tree: ImageTree,
    *,
    size: int,
    fit: Fit,
    skip_broken: bool,
    data_dir: Path,
    on_progress: Progress,
) -> DecodedImages:
    """Return the images from the cache, decoding them into it first if they are missing.

    One process decodes, others wait for it. Raises ``InputError`` naming an unusable file,
    unless ``skip_broken``, or naming the cache if it cannot be written.
    """
    import filelock  # filelock loads asyncio

    name = entry_name(tree, size=size, fit=fit, skip_broken=skip_broken)
    places = list_cache_roots(data_dir)
    for place in places:
        if (decoded := _read_entry(place / name)) is not None:
            return decoded
    entry = _first_writable(places) / name
    try:
        # The lock ends with the process that holds it, so files of a killed one can be deleted.
        with filelock.FileLock(lock_path(entry)):
            if (decoded := _read_entry(entry)) is None:
                decoded = _build(tree, entry, size, fit, skip_broken, on_progress)
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror or error})",
            where=f"the cache of decoded images {entry.parent}",
            remedy="Free some space, or choose another folder with --data-dir",
        ) from error
    return decoded


def entry_name(tree: ImageTree, *, size: int, fit: Fit, skip_broken: bool) -> str:
    """Return the name of the folder for a tree's images; it is different for every tree."""
    return f"{_slug(tree.root.name)}-{size}-{_key(tree, size, fit, skip_broken)}"


def lock_path(entry: Path) -> Path:
    """Return the file to lock while an entry is made or removed."""
    return entry.with_name(f"{entry.name}.lock")


def _slug(name: str) -> str:
    return "".join(letter for letter in name if letter.isascii() and letter.isalnum())[:32]


def _key(tree: ImageTree, size: int, fit: Fit, skip_broken: bool) -> str:
    digest = hashlib.blake2b(digest_size=12)
    digest.update(repr((_FORMAT, str(tree.root.resolve()), size, skip_broken)).encode())
    if fit != _FIRST_FIT:
        digest.update(fit.encode())
    for part in (tree.train, tree.test):
        for file in part:
            line = f"{file.path}|{file.label}|{file.num_bytes}|{file.mtime_ns}\n"
            digest.update(line.encode(errors="surrogateescape"))
        digest.update(b"\n")
    return digest.hexdigest()


def list_cache_roots(data_dir: Path) -> tuple[Path, Path]:
    """Return the folders of entries, the preferred one first; they need not exist."""
    from platformdirs import user_cache_path

    return data_dir / ".cache", user_cache_path("searchlab") / "images"


def _first_writable(places: tuple[Path, ...]) -> Path:
    problems = []
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problems.append(f"{place}: {error.strerror}")
            continue
        if os.access(place, os.W_OK):
            return place
        problems.append(f"{place}: not writable")
    raise InputError(
        "must have a writable folder",
        where="the cache of decoded images",
        found=problems,
        remedy="Choose another folder with --data-dir",
    )


def _read_entry(entry: Path) -> DecodedImages | None:
    """Map an entry; None if there is none or it is damaged."""
    try:
        index = json.loads((entry / _INDEX).read_bytes())
        arrays = [_open_array(entry / file, index["crc32"][file]) for file in _ARRAYS]
        skipped, with_frames = tuple(index["skipped"]), tuple(index["with_frames"])
        bits = index["bits"]
        sums = _open_sums(entry, index, arrays[0].shape)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s is damaged (%s); decoding again", entry, error)
        return None
    train_images, train_labels, test_images, test_labels = arrays
    return DecodedImages(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        skipped=skipped,
        with_frames=with_frames,
        bits=bits,
        files=(entry / images_file("train"), entry / images_file("test")),
        train_sums=sums,
    )


def _open_sums(entry: Path, index: Any, shape: tuple[int, ...]) -> ChannelSums | None:
    if _SUMS not in index["crc32"]:
        return None
    sums, squares = _open_array(entry / _SUMS, index["crc32"][_SUMS])
    return ChannelSums(sums=sums, squares=squares, pixels_per_image=shape[2] * shape[3])


def _open_array(file: Path, crc: int) -> NDArray[Any]:
    if _checksum(file) != crc:
        raise ValueError(f"{file.name} has another checksum")
    # A plain array: Ray would copy a memmap, a subclass, into its object store.
    return np.asarray(np.load(file, mmap_mode="r"))


def _checksum(file: Path) -> int:
    crc = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


def _build(
    tree: ImageTree, entry: Path, size: int, fit: Fit, skip_broken: bool, on_progress: Progress
) -> DecodedImages:
    """Decode into a folder beside the entry, then rename it."""
    logger.info("decoding %d images of %s", len(tree.train) + len(tree.test), tree.root)
    partial = entry.with_name(f"{entry.name}{PARTIAL}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        (partial / _SOURCE).write_text(json.dumps(_describe_source(tree, size, fit)))
        notes = decode_tree(
            tree, partial, size=size, fit=fit, skip_broken=skip_broken, on_progress=on_progress
        )
        _write_sums(partial)
        checksums = {file: _checksum(partial / file) for file in (*_ARRAYS, _SUMS)}
        index = {
            "skipped": notes.skipped,
            "with_frames": notes.with_frames,
            "bits": notes.bits,
            "crc32": checksums,
        }
        (partial / _INDEX).write_text(json.dumps(index))
        shutil.rmtree(entry, ignore_errors=True)
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    decoded = _read_entry(entry)
    assert decoded is not None, f"{entry} was written just now"
    return decoded


def _write_sums(folder: Path) -> None:
    images = np.load(folder / images_file("train"), mmap_mode="r")
    known = ChannelSums.from_images(images)
    np.save(folder / _SUMS, np.stack([known.sums, known.squares]))


def _describe_source(tree: ImageTree, size: int, fit: Fit) -> dict[str, Any]:
    source = {"root": str(tree.root.resolve()), "size": size}
    return source if fit == _FIRST_FIT else {**source, "fit": fit}


def is_of(folder: Path, tree: ImageTree, size: int, fit: Fit) -> bool:
    """Return whether an entry, or part of one, was decoded from this root to such squares."""
    try:
        source = json.loads((folder / _SOURCE).read_bytes())
    except (OSError, ValueError):  # deleted, or not made by this cache
        return False
    return bool(source == _describe_source(tree, size, fit))
