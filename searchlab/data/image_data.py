"""ImageData: a complete labelled image set in memory, the form that all other layers use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchlab.config.dataset import Fit
from searchlab.data.statistics import ChannelSums
from searchlab.data.unread_files import Unread

__all__ = ["LARGE_BYTES", "ImageData", "Images", "Labels"]

LARGE_BYTES = 2**30
"""Images that are mapped from files and take more are read by the batch, not kept in memory."""

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


# eq=False: comparing arrays returns arrays; use the fingerprint to compare contents.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageData:
    """Training and test images with their labels, checked for consistency.

    Images are uint8 [N, C, H, W] in 0..255, labels int64 [N] in 0..num_classes-1. The arrays may be
    read-only: on a worker they are mapped from the object store. ``num_skipped`` counts the skipped
    files, which cannot be used; ``unread`` counts what else lies there and is not read. ``bits`` is
    the depth at which files of 16 bits were read, None if there were none. ``fit`` is how image
    files became squares. ``class_names`` are in
    the order of the labels, empty if the classes have none. If folders hold the images,
    ``train_files`` and ``test_files`` have each image's path below the dataset's root.
    ``value_range`` is what became 0 and 255 in images that were given as other numbers.
    ``train_groups`` numbers what training images have in common, ``train_times`` the times at which
    they were taken, in their order; None if nothing is known of it. ``mapped_files`` are the two
    ``.npy`` files from which the images are mapped, None if they are in memory; ``train_sums`` are
    those of the training images if they are known already.
    Raises ``ValueError`` naming an array that breaks a rule.
    """

    name: str
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    num_classes: int
    num_skipped: int = 0
    unread: tuple[Unread, ...] = ()
    bits: int | None = None
    fit: Fit = "crop"
    class_names: tuple[str, ...] = ()
    train_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None
    train_groups: Labels | None = None
    train_times: Labels | None = None
    mapped_files: tuple[Path, Path] | None = None
    train_sums: ChannelSums | None = None

    def __post_init__(self) -> None:
        _check_part(f"{self.name} train", self.train_images, self.train_labels, self.num_classes)
        _check_part(f"{self.name} test", self.test_images, self.test_labels, self.num_classes)
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"{self.name}: train and test images must have one shape, "
                f"got {self.train_images.shape[1:]} and {self.test_images.shape[1:]}"
            )

        for files, labels in (
            (self.train_files, self.train_labels),
            (self.test_files, self.test_labels),
        ):
            if files and len(files) != len(labels):
                raise ValueError(
                    f"{self.name} must have a file for each image or none, "
                    f"got {len(files)} for {len(labels)}"
                )

    def without_files(self) -> ImageData:
        """Return the images without the names of their files, which may be on another machine."""
        return replace(self, train_files=(), test_files=(), mapped_files=None)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        _, channels, height, width = self.train_images.shape
        return channels, height, width

    @property
    def num_bytes(self) -> int:
        """Bytes of all images and labels."""
        arrays = (self.train_images, self.train_labels, self.test_images, self.test_labels)
        return sum(array.nbytes for array in arrays)

    @property
    def is_large(self) -> bool:
        """Whether the images are too many to be kept in memory, and lie in files."""
        return self.mapped_files is not None and self.num_bytes > LARGE_BYTES

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with any pixel, label or shape, or the class count.

        The name does not count: the same content under another name is the same data.
        """
        digest = hashlib.blake2b(f"{self.num_classes}".encode(), digest_size=8)
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"|{array.dtype.name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        for name, values in ((b"|groups", self.train_groups), (b"|times", self.train_times)):
            if values is not None:  # they decide the folds
                digest.update(name + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def _check_part(part: str, images: Images, labels: Labels, num_classes: int) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            f"{part} images must be uint8 [N, C, H, W] and not empty, "
            f"got {images.dtype} {images.shape}"
        )
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{part} labels must be int64 [{len(images)}], got {labels.dtype} {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"{part} labels must be in 0..{num_classes - 1}, got {labels.min()}..{labels.max()}"
        )
