"""Images of a study's data as its report shows them: small files, kept with what was measured."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt

from searchlab.control_characters import escape_line
from searchlab.data import ImageData
from searchlab.engine.diagnostics.results import Part, Place, ShownImage

__all__ = ["find_place", "list_classes", "show_image"]

_MOST_PIXELS = 56  # a side
_MOST_LOSSLESS = 32  # a side; larger ones get a palette: a photo takes 5 kB, not 12


def list_classes(images: ImageData) -> list[str]:
    """Return the names of the classes, in one line each; none if they have none."""
    return [escape_line(name) for name in images.class_names]


def find_place(images: ImageData, part: Part, index: int) -> Place:
    """Return what is known of an image besides its pixels."""
    is_training = part == "training"
    labels = images.train_labels if is_training else images.test_labels
    files = images.train_files if is_training else images.test_files
    return Place(
        part=part,
        index=index,
        file=escape_line(files[index]) if files else None,
        label=int(labels[index]),
    )


def show_image(images: ImageData, part: Part, index: int) -> ShownImage:
    """Return an image of a dataset to be shown."""
    pixels = (images.train_images if part == "training" else images.test_images)[index]
    width, height, png = _encode(pixels)
    place = find_place(images, part, index)
    return ShownImage(place=place, width=width, height=height, png=png)


def _encode(pixels: npt.NDArray[np.uint8]) -> tuple[int, int, str]:
    """Return the width, the height and a PNG, in base64, of pixels [C, H, W]."""
    from PIL import Image

    if len(pixels) == 3:
        image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    else:  # of other numbers of channels, their mean
        image = Image.fromarray(np.rint(pixels.mean(0)).astype(np.uint8))
    image.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    if max(image.size) > _MOST_LOSSLESS and image.mode == "RGB":
        image = image.quantize(256)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return (*image.size, base64.b64encode(file.getvalue()).decode())
