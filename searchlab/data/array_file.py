"""Images that lie decoded in a NumPy archive: ``.npz`` with images and labels.

The arrays are ``train_images`` and ``train_labels`` with ``test_images`` and ``test_labels``;
Keras' names ``x_train``, ``y_train``, ``x_test``, ``y_test``; or ``images`` and ``labels``, of
which a fifth becomes the test set. Images are [N, H, W], [N, H, W, C] or [N, C, H, W].
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchlab.config.seeds import derive_seed
from searchlab.data.folds import stratified_folds
from searchlab.data.image_data import ImageData, Images
from searchlab.data.registry import ArraySource, register_arrays
from searchlab.data.request import DatasetFacts
from searchlab.errors import InputError

__all__ = ["describe_arrays", "load_arrays", "read_array_images"]

_SPLIT = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)
_WHOLE = ("images", "labels")
_MAX_CHANNELS = 32
_NUM_PARTS = 5
"""One of so many parts is the test set, if the archive has none."""

Arrays = Mapping[str, NDArray[Any]]
Range = tuple[float, float]


def describe_arrays(file: Path) -> DatasetFacts:
    """Return shape and classes of an archive without reading its images.

    Raises ``InputError`` as ``load_arrays`` does, except about pixels.
    """
    with _opening(file) as archive:
        names = _find_names(file, archive.files)
        images = _to_channels_first(file, names[0], _read_shape(archive, names[0]))
        labels = {name: archive[name] for name in names[1::2]}
    _, classes = _number_labels(file, labels, names[1::2])
    _, *shape = images.shape
    channels, height, width = shape
    return DatasetFacts(
        image_shape=(channels, height, width), num_classes=len(classes), class_names=classes
    )


def load_arrays(file: Path) -> ImageData:
    """Read an archive: images of any number of channels, labels of any kind.

    uint8 images are kept; other integers and floats are scaled to 0..255 by one range, that of the
    training images, except floats within [0, 1], whose range that is. Classes are the labels'
    different values, in order. Raises ``InputError`` if the file is no archive of arrays, has not
    the arrays, or they do not fit together.
    """
    with _opening(file) as archive:
        names = _find_names(file, archive.files)
        arrays = {name: archive[name] for name in names}
    train_images = _to_channels_first(file, names[0], arrays[names[0]])
    labels, classes = _number_labels(file, arrays, names[1::2])
    if len(names) == 2:
        kept, held = _split_off(file, labels[0], len(train_images))
        images, (train, test) = (train_images[kept], train_images[held]), (
            labels[0][kept], labels[0][held]
        )  # fmt: skip
    else:
        images = train_images, _to_channels_first(file, names[2], arrays[names[2]])
        train, test = labels
    for one in images:
        if not np.isfinite(one).all():
            raise InputError("must hold finite numbers", where=str(file), found="NaN or infinity")
    value_range = _find_range(images[0])
    try:
        return ImageData(
            name="arrays",
            train_images=_to_bytes(images[0], value_range),
            train_labels=train,
            test_images=_to_bytes(images[1], value_range),
            test_labels=test,
            num_classes=len(classes),
            class_names=classes,
            value_range=value_range,
        )
    except ValueError as error:
        raise InputError(
            f"must hold images and labels that fit: {error}", where=str(file)
        ) from None


def read_array_images(
    file: Path, *, shape: tuple[int, int, int], value_range: Range | None
) -> Images:
    """Return the images of a ``.npy`` file as those of a training set: uint8 [N, *shape].

    Raises ``InputError`` if it holds no such images, or other values than bytes for a model of
    bytes.
    """
    try:
        images = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot be read as an array: {error}", where=str(file)) from error
    images = _to_channels_first(file, "it", images)
    if images.shape[1:] != shape:
        raise InputError(f"must hold images of shape {shape}", where=str(file), found=images.shape)
    if value_range is None and images.dtype != np.uint8:
        raise InputError("must hold uint8 images", where=str(file), found=str(images.dtype))
    if not np.isfinite(images).all():
        raise InputError("must hold finite numbers", where=str(file), found="NaN or infinity")
    return _to_bytes(images, value_range)


@contextmanager
def _opening(file: Path) -> Iterator[Any]:
    """Open an archive, whose arrays are read when they are asked for, within the block."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            yield archive
    except InputError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"cannot be read as an archive of arrays: {error}",
            where=str(file),
            remedy="Write it with numpy.savez(file, train_images=..., train_labels=..., "
            "test_images=..., test_labels=...)",
        ) from error


def _read_shape(archive: Any, name: str) -> NDArray[Any]:
    """Return an array of the shape and type of one in the archive, but without its memory."""
    with archive.zip.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
    return np.broadcast_to(np.zeros((), dtype), shape)


def _find_names(file: Path, arrays: Collection[str]) -> tuple[str, ...]:
    for names in (*_SPLIT, _WHOLE):
        if all(name in arrays for name in names):
            return names
    raise InputError(
        "must hold train_images, train_labels, test_images and test_labels, or images and labels",
        where=str(file),
        found=sorted(arrays),
    )


def _to_channels_first(file: Path, name: str, images: NDArray[Any]) -> NDArray[Any]:
    if images.ndim == 3:
        return images[:, None]
    where = f"{file}: {name}"
    if images.ndim != 4 or not np.issubdtype(images.dtype, np.number):
        raise InputError(
            "must be numbers of shape [N, H, W], [N, H, W, C] or [N, C, H, W]",
            where=where,
            found=f"{images.dtype} {images.shape}",
        )
    _, first, _, last = images.shape
    if min(first, last) > _MAX_CHANNELS:
        raise InputError(
            f"must have at most {_MAX_CHANNELS} channels, in the second or the last place",
            where=where,
            found=images.shape,
        )
    return images if first < last else images.transpose(0, 3, 1, 2)


def _number_labels(
    file: Path, arrays: Arrays, names: tuple[str, ...]
) -> tuple[list[NDArray[np.int64]], tuple[str, ...]]:
    found = [np.squeeze(arrays[name]) for name in names]
    for name, labels in zip(names, found, strict=True):
        if labels.ndim != 1 or np.issubdtype(labels.dtype, np.floating):
            raise InputError(
                "must be one class for each image, a number or a text",
                where=f"{file}: {name}",
                found=f"{labels.dtype} {arrays[name].shape}",
            )
    values = np.unique(found[0])
    for name, labels in zip(names, found, strict=True):
        unknown = np.setdiff1d(labels, values)
        if len(unknown):
            raise InputError(
                "must have classes of the training images only",
                where=f"{file}: {name}",
                found=unknown[:3].tolist(),
            )
    if len(values) < 2:
        raise InputError("must have two or more classes", where=str(file), found=values.tolist())
    numbered = [np.searchsorted(values, labels).astype(np.int64) for labels in found]
    return numbered, tuple(map(str, values.tolist()))


def _split_off(
    file: Path, labels: NDArray[np.int64], num_images: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if len(labels) != num_images:
        raise InputError(
            "must hold a label for each image",
            where=str(file),
            found=f"{len(labels)} labels for {num_images} images",
        )
    least = int(np.bincount(labels).min())
    if least < 2:
        raise InputError("must hold two or more images of each class", where=str(file), found=least)
    seed = derive_seed("test split of arrays") % 2**32
    (test, *_) = stratified_folds(labels, num_folds=min(_NUM_PARTS, least), seed=seed)
    return np.setdiff1d(np.arange(num_images), test), test


def _find_range(images: NDArray[Any]) -> Range | None:
    """Return what becomes 0 and 255; None for bytes, which stay as they are."""
    if images.dtype == np.uint8:
        return None
    low, high = float(images.min()), float(images.max())
    if np.issubdtype(images.dtype, np.floating) and low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


def _to_bytes(images: NDArray[Any], value_range: Range | None) -> Images:
    if value_range is None:
        return np.ascontiguousarray(images.astype(np.uint8))
    low, high = value_range
    scaled = (images.astype(np.float64) - low) * (255 / (high - low))
    return np.ascontiguousarray(np.rint(scaled.clip(0, 255)).astype(np.uint8))


register_arrays(
    name="arrays",
    summary="your own images in a NumPy archive, of any number of channels; give the .npz file",
    arrays=ArraySource(describe=describe_arrays, load=load_arrays),
    root_is="the .npz file that holds images and labels",
)
