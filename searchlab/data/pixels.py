"""From an opened image to square RGB pixels of 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from searchlab.config.dataset import Fit
from searchlab.data.image_data import Images
from searchlab.data.pil_setup import DAMAGE

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BACKGROUND", "reduced_rgb", "to_square", "turn_upright"]

BACKGROUND = (255, 255, 255)
"""The colour on which transparent images are laid: white, as pages are."""

_STRIP_PIXELS = 2**22
_ORIENTATION = 0x0112


def reduced_rgb(image: Image, factor: int) -> Image:
    """Return an image as RGB at 1/``factor`` of its size, each pixel the mean of those it covers.

    A large image is converted strip by strip, because RGB takes up to four times its memory.
    """
    if factor < 2:
        return _to_rgb(image)
    from PIL.Image import new

    width, height = image.size
    small = new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, _STRIP_PIXELS // (width * factor))
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        small.paste(_to_rgb(strip).reduce(factor), (0, top // factor))
    return small


def _to_rgb(image: Image) -> Image:
    from PIL.Image import alpha_composite, new

    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode == "La":  # which PIL converts to nothing else
        image = image.convert("LA")
    page = new("RGBA", image.size, BACKGROUND)
    return alpha_composite(page, image.convert("RGBA")).convert("RGB")


def turn_upright(image: Image, source: Image) -> Image:
    """Turn an image as the EXIF data of ``source`` says, which may be damaged, unlike the image."""
    from PIL.Image import Transpose

    try:
        orientation = source.getexif().get(_ORIENTATION, 1)
    except DAMAGE:
        return image
    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def to_square(image: Image, size: int, fit: Fit = "crop") -> Images:
    """Return uint8 [3, size, size], resized bilinearly with antialiasing.

    ``crop`` resizes the short side and keeps the middle, ``pad`` resizes the long side and puts the
    image in the middle of a black square, ``stretch`` resizes both sides.
    """
    from PIL.Image import Resampling, new

    width, height = image.size
    if fit == "stretch":
        shape = size, size
    else:
        fitted = min(width, height) if fit == "crop" else max(width, height)
        shape = max(1, size * width // fitted), max(1, size * height // fitted)
    if shape != image.size:
        image = image.resize(shape, Resampling.BILINEAR)
    left, top = (round((side - size) / 2) for side in image.size)
    if fit == "pad":
        square = new("RGB", (size, size))
        square.paste(image, (-left, -top))
    else:
        square = image.crop((left, top, left + size, top + size))
    return np.asarray(square).transpose(2, 0, 1)
