"""Pixels of 16 bits, whose levels PIL would lose: it keeps 8 bits of colours, the high ones.

A file of 16 bits often holds fewer, such as the 12 of a sensor, and does not say so. The largest
value then tells: the depth is the least of 8, 10, 12, 14 and 16 bits that holds it.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchlab.data.image_formats import FORMATS, UnusableImageError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

__all__ = ["DeepImage", "read_deep"]

_DEPTHS = (8, 10, 12, 14, 16)
_BANDS_WITH_ALPHA = (2, 4)
_NATIVE = "L" if sys.byteorder == "little" else "B"
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if _NATIVE == "L" else "L"}
_BITS_PER_SAMPLE, _PLANAR_CONFIGURATION = 258, 284
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, slots=True, eq=False)
class DeepImage:
    """``values`` are uint16 [H, W, bands]: grey or three colours, and perhaps transparency.

    ``declared_bits`` is the depth if the file says it.
    """

    values: NDArray[np.uint16]
    declared_bits: int | None = None

    @property
    def bits(self) -> int:
        """The depth that holds the largest grey or colour, or the declared one."""
        return _least_depth(self._colours) if self.declared_bits is None else self.declared_bits

    @property
    def _colours(self) -> NDArray[np.uint16]:
        return self.values[..., : self._num_colours]

    @property
    def _num_colours(self) -> int:
        num_bands: int = self.values.shape[2]
        return num_bands - (num_bands in _BANDS_WITH_ALPHA)

    def to_image(self, bits: int) -> Image:
        """Return the image with 8 bits, the highest of ``bits``; its transparency has its own."""
        from PIL.Image import fromarray

        depths = [bits] * self._num_colours
        if self._num_colours < self.values.shape[2]:
            depths.append(_least_depth(self.values[..., -1]))
        shifts = np.array([depth - 8 for depth in depths], dtype=np.uint16)
        pixels = (self.values >> shifts).astype(np.uint8)
        return fromarray(pixels[..., 0] if len(depths) == 1 else pixels, _MODES[len(depths)])


def _least_depth(values: NDArray[np.uint16]) -> int:
    length: int = int(values.max()).bit_length()
    return min(depth for depth in _DEPTHS if depth >= length)


def read_deep(image: ImageFile, source: Path | bytes) -> DeepImage | None:
    """Return the pixels of an image of 16 bits that was just opened; None if it has no more than 8.

    ``source`` is the file, or its content, that it was opened from. Raises ``UnusableImageError``
    for a TIFF that PIL reads wrongly, without an error.
    """
    _refuse_planes(image)
    raw = _raw_mode(image)
    if image.mode.startswith("I;16"):
        declared = 12 if raw == "I;12" else 16 if image.format == "JPEG2000" else None
        grey = np.asarray(image).astype(np.uint16)[..., None]
        return DeepImage(_add_transparency(grey, image), declared)
    if image.format == "PPM" and image.mode == "I":
        # PIL has scaled the values to 16 bits, unless the file says that they have as many.
        declared = None if raw.startswith("I;16") else 16
        return DeepImage(np.asarray(image).astype(np.uint16)[..., None], declared)
    if image.tile and image.tile[0].codec_name == "ppm" and image.tile[0].args == ("RGB", 65_535):
        shape = (image.height, image.width, 3)
        count, offset = math.prod(shape), image.tile[0].offset
        if isinstance(source, Path):
            values = np.fromfile(source, ">u2", count, offset=offset)
        else:
            values = np.frombuffer(source, ">u2", count, offset=offset)
        return DeepImage(values.astype(np.uint16).reshape(shape))
    if raw == "LA;16B":
        return DeepImage(_read_as(image, "RGBA").view(">u2").astype(np.uint16))
    if raw.startswith(("RGB;16", "RGBX;16", "RGBA;16")):
        return DeepImage(_add_transparency(_read_both_bytes(image, source, raw), image))
    return None


def _refuse_planes(image: ImageFile) -> None:
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, ())
    if tags.get(_PLANAR_CONFIGURATION) == 2 and len(bits) > 1 and max(bits) > 8:
        raise UnusableImageError("has a plane for each colour of 16 bits, which cannot be read")


def _raw_mode(image: ImageFile) -> str:
    """Return how the file's bytes become pixels, in PIL's words; empty if PIL does not say."""
    arguments = image.tile[0].args if image.tile else None
    if isinstance(arguments, tuple):
        arguments = arguments[0] if arguments else None
    return arguments if isinstance(arguments, str) else ""


def _read_both_bytes(image: ImageFile, source: Path | bytes, raw: str) -> NDArray[np.uint16]:
    """Read the file twice: PIL keeps the first byte of a colour, and the second in other order."""
    from PIL import Image

    high = np.asarray(image).astype(np.uint16)
    opened = source if isinstance(source, Path) else BytesIO(source)
    with Image.open(opened, formats=FORMATS) as again:
        low = _read_as(again, raw[:-1] + _OTHER_ORDER[raw[-1]])
    return np.bitwise_or(np.left_shift(high, 8), low)


def _read_as(image: ImageFile, raw: str) -> NDArray[np.uint8]:
    image.tile = [
        type(tile)(
            tile.codec_name,
            tile.extents,
            tile.offset,
            (raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw,
        )
        for tile in image.tile
    ]
    return np.asarray(image)


def _add_transparency(values: NDArray[np.uint16], image: Image) -> NDArray[np.uint16]:
    """Add a band for the one colour that a file may declare transparent."""
    colour = image.info.get("transparency")
    if colour is None or values.shape[2] in _BANDS_WITH_ALPHA:
        return values
    is_opaque = (values != np.array(colour, dtype=np.uint16)).any(axis=2, keepdims=True)
    return np.concatenate([values, is_opaque * np.uint16(65535)], axis=2)
