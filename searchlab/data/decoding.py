"""Decoding image files to square RGB arrays in several threads: PIL releases the GIL to decode."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searchlab.data.image_data import Images

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BrokenImageError", "Progress", "decode_files", "decode_image"]

Progress = Callable[[int, int], None]
"""Called with the number of images done so far and the total."""

# By content, not by ending. Other formats are refused: PIL passes EPS to a PostScript interpreter.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
# A JPEG is decoded at 1/2, 1/4 or 1/8 if that leaves this many times the wanted size.
_DRAFT_FACTOR = 3
_MAX_ASPECT = 100
# Faults of the machine, not the file: reading it again may succeed. PIL's own errors have no
# number, and this set has none that a damaged file can cause, such as EINVAL from a seek.
_PASSING_FAULTS = frozenset(
    {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}
)
_FILES_PER_TASK = 32
_MAX_THREADS = 16


class BrokenImageError(Exception):
    """A file cannot be decoded; the message says why."""


def decode_image(path: Path, size: int) -> Images:
    """Decode a file to uint8 [3, size, size]: resize the short side to ``size``, crop the middle.

    The image is turned by its EXIF orientation and resized bilinearly with antialiasing, like
    torchvision's Resize and CenterCrop. Raises ``BrokenImageError``, or ``OSError`` with the file's
    name if the machine failed, not the file: no permission, a disk fault, too many open files.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=_FORMATS) as image:
            image.draft(None, (_DRAFT_FACTOR * size, _DRAFT_FACTOR * size))
            upright = ImageOps.exif_transpose(image)
            return _to_square(_to_rgb(upright), size)
    except PermissionError:
        raise
    # What PIL's plugins raise on damaged files; SyntaxError is PNG's own.
    except (
        OSError, EOFError, SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError,
        NotImplementedError, struct.error, zlib.error, Image.DecompressionBombError,
    ) as error:  # fmt: skip
        number = getattr(error, "errno", None)
        if number in _PASSING_FAULTS:
            raise OSError(number, os.strerror(number), str(path)) from error
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BrokenImageError(reason.replace(repr(str(path)), "it")) from error


def _to_rgb(image: Image) -> Image:
    from PIL.Image import fromarray

    if image.mode.startswith("I;16"):  # PIL would clip it to 255, not scale it
        return fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels have no known range (mode {image.mode})")
    return image.convert("RGB")


def _to_square(image: Image, size: int) -> Images:
    from PIL.Image import Resampling

    width, height = image.size
    short = min(width, height)
    if max(width, height) > _MAX_ASPECT * short:
        raise ValueError(f"it is too narrow: {width}x{height}")
    if short != size:
        image = image.resize((size * width // short, size * height // short), Resampling.BILINEAR)
    left, top = (round((side - size) / 2) for side in image.size)
    square = image.crop((left, top, left + size, top + size))
    return np.asarray(square).transpose(2, 0, 1)


def decode_files(
    paths: Sequence[Path], images: Images, *, on_progress: Progress
) -> Iterator[tuple[int, str]]:
    """Fill ``images`` [N, 3, S, S]; yield the index and fault of each broken file, in order.

    Raises ``OSError`` as ``decode_image`` does.
    """
    from PIL import Image

    Image.init()  # once here, not in each thread
    size = images.shape[-1]

    def decode_some(start: int) -> list[tuple[int, str]]:
        broken = []
        for index in range(start, min(start + _FILES_PER_TASK, len(paths))):
            try:
                images[index] = decode_image(paths[index], size)
            except BrokenImageError as error:
                broken.append((index, str(error)))
        return broken

    pool = ThreadPoolExecutor(_count_threads(), thread_name_prefix="decode")
    try:
        starts = range(0, len(paths), _FILES_PER_TASK)
        for start, broken in zip(starts, pool.map(decode_some, starts), strict=True):
            yield from broken
            on_progress(min(start + _FILES_PER_TASK, len(paths)), len(paths))
    finally:
        # If the caller gives up at the first broken file, the rest is not decoded.
        pool.shutdown(cancel_futures=True)


def _count_threads() -> int:
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(here or 1, _MAX_THREADS)
