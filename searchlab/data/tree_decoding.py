"""Decoding the files of a tree into arrays in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.config.dataset import Fit
from searchlab.data.decoding import FileNote, Progress, decode_files
from searchlab.data.image_data import Images
from searchlab.data.image_tree import ImageFile, ImageTree
from searchlab.data.pil_setup import opening_images
from searchlab.data.request import unusable_file
from searchlab.errors import InputError

__all__ = ["PARTS", "DecodingNotes", "decode_tree", "images_file", "labels_file"]

PARTS = ("train", "test")
_CHUNK_FILES = 256


def images_file(part: str) -> str:
    """Return the name of the array of a part's images: uint8 [N, 3, S, S]."""
    return f"{part}_images.npy"


def labels_file(part: str) -> str:
    """Return the name of the array of a part's labels: int64 [N]."""
    return f"{part}_labels.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingNotes:
    """Files, relative to the root: those that were skipped, and those with further frames.

    ``bits`` is the depth at which files of 16 bits were read, None if there were none.
    """

    skipped: tuple[str, ...]
    with_frames: tuple[str, ...]
    bits: int | None = None


@dataclass(kw_only=True, eq=False)
class _Part:
    name: str
    files: Sequence[ImageFile]
    paths: list[Path]
    images: np.memmap[Any, np.dtype[np.uint8]]
    read: Callable[[ImageFile], bytes] | None
    faults: dict[int, str] = field(default_factory=dict)
    bits: dict[int, int] = field(default_factory=dict)
    with_frames: set[int] = field(default_factory=set)

    def list_files(self, indices: Iterable[int]) -> Iterator[str]:
        return (self.files[index].path for index in sorted(indices))


def decode_tree(
    tree: ImageTree,
    folder: Path,
    *,
    size: int,
    fit: Fit,
    skip_broken: bool,
    on_progress: Progress,
) -> DecodingNotes:
    """Write the images and labels of both parts.

    Files of 16 bits are read at one depth, the largest that any of them needs, so that they
    compare. Raises ``InputError`` naming an unusable file, unless ``skip_broken``.
    """
    total, before = len(tree.train) + len(tree.test), 0
    parts = []
    with opening_images():
        for name, files in zip(PARTS, (tree.train, tree.test), strict=True):

            def advance(done: int, _: int, before: int = before) -> None:
                on_progress(before + done, total)

            part = _Part(
                name=name,
                files=files,
                paths=[tree.root / file.path for file in files],
                images=_make_array(folder / images_file(name), len(files), size),
                read=tree.read,
            )
            indices = range(len(files))
            for note in _decode(part, indices, part.images, fit=fit, on_progress=advance):
                _keep(part, note, skip_broken)
            parts.append(part)
            before += len(files)
        depth = max((bits for part in parts for bits in part.bits.values()), default=0)
        for part in parts:
            _decode_again(part, depth, fit, skip_broken)
    for part in parts:
        _finish(part, tree, folder)
    return DecodingNotes(
        skipped=tuple(file for part in parts for file in part.list_files(part.faults)),
        with_frames=tuple(file for part in parts for file in part.list_files(part.with_frames)),
        bits=depth or None,
    )


def _decode(
    part: _Part,
    indices: Sequence[int],
    images: Images,
    *,
    fit: Fit,
    bits: int | None = None,
    on_progress: Progress,
) -> Iterator[FileNote]:
    """Decode as ``decode_files`` does; a fault of the machine is an ``InputError`` too."""
    paths = [part.paths[index] for index in indices]

    def read(place: int) -> bytes:
        assert part.read is not None
        return part.read(part.files[indices[place]])

    try:
        yield from decode_files(
            paths,
            images,
            read=None if part.read is None else read,
            fit=fit,
            bits=bits,
            on_progress=on_progress,
        )
    except PermissionError as error:
        raise InputError(
            "is not readable", where=str(error.filename), remedy="Check its permissions"
        ) from error
    except OSError as error:  # skipping the file for good would be wrong
        raise InputError(
            f"could not be read ({error.strerror})",
            where=str(error.filename),
            remedy="The machine failed, not the file, so it is not skipped as broken. Try again",
        ) from error


def _keep(part: _Part, note: FileNote, skip_broken: bool) -> None:
    if note.fault is not None:
        if not skip_broken:
            raise unusable_file(note.fault, part.paths[note.index])
        part.faults[note.index] = note.fault
    if note.bits is not None:
        part.bits[note.index] = note.bits
    if note.has_frames:
        part.with_frames.add(note.index)


def _decode_again(part: _Part, depth: int, fit: Fit, skip_broken: bool) -> None:
    """Decode the files again whose own values need less than ``depth`` bits, such as dark ones."""
    shallow = [index for index, bits in part.bits.items() if bits < depth]
    for start in range(0, len(shallow), _CHUNK_FILES):
        chunk = shallow[start : start + _CHUNK_FILES]
        images = np.empty((len(chunk), *part.images.shape[1:]), dtype=np.uint8)
        for note in _decode(part, chunk, images, fit=fit, bits=depth, on_progress=lambda *_: None):
            _keep(part, replace(note, index=chunk[note.index]), skip_broken)
        part.images[chunk] = images


def _finish(part: _Part, tree: ImageTree, folder: Path) -> None:
    """Write the labels, and the images without the rows of skipped files."""
    kept = [index for index in range(len(part.files)) if index not in part.faults]
    _check_classes(tree, part.name, [part.files[index] for index in kept])
    part.images.flush()
    if part.faults:
        _drop_rows(folder / images_file(part.name), part.images, kept)
    labels = np.array([part.files[index].label for index in kept], dtype=np.int64)
    np.save(folder / labels_file(part.name), labels)


def _make_array(file: Path, count: int, size: int) -> np.memmap[Any, np.dtype[np.uint8]]:
    shape = (count, 3, size, size)
    return np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)


def _drop_rows(file: Path, images: Images, kept: list[int]) -> None:
    shorter = file.with_suffix(".kept")
    rows = _make_array(shorter, len(kept), images.shape[-1])
    for row, index in enumerate(kept):
        rows[row] = images[index]
    rows.flush()
    shorter.replace(file)


def _check_classes(tree: ImageTree, part: str, kept: list[ImageFile]) -> None:
    labels = {file.label for file in kept}
    for label, name in enumerate(tree.classes):
        if label not in labels:
            raise InputError(
                f"must have an image that is not broken in the {part} set",
                where=f"class {name} of {tree.root}",
            )
