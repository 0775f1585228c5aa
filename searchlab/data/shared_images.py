"""Large images for another process of this machine: their files, in place of their bytes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.data.image_data import ImageData
from searchlab.errors import InputError

__all__ = ["SharedImages", "open_shared", "share_images"]

_PIXELS = ("train_images", "test_images")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedImages:
    """Images whose pixels are in two ``.npy`` files, of the training and the test set."""

    files: tuple[Path, Path]
    rest: dict[str, Any]


def share_images(images: ImageData) -> ImageData | SharedImages:
    """Return what to send to a process of this machine, which reads large images itself."""
    slim, files = images.without_files(), images.mapped_files
    if not images.is_large or files is None:
        return slim
    rest = {field.name: getattr(slim, field.name) for field in fields(slim)}
    rest["mapped_files"] = files
    return SharedImages(
        files=files, rest={name: value for name, value in rest.items() if name not in _PIXELS}
    )


def open_shared(shared: ImageData | SharedImages) -> ImageData:
    """Return the images that were shared. Raises ``InputError`` if their files are gone."""
    if isinstance(shared, ImageData):
        return shared
    try:
        train, test = (np.asarray(np.load(file, mmap_mode="r")) for file in shared.files)
    except FileNotFoundError as error:
        raise InputError(
            "is gone: the decoded images of a study that runs must stay",
            where=str(error.filename),
            remedy="Stop the study and resume it; then they are decoded again",
        ) from error
    return ImageData(train_images=train, test_images=test, **shared.rest)
