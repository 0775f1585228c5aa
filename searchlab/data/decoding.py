"""Decoding image files to square RGB arrays in several threads: PIL releases the GIL to decode."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.config.dataset import Fit
from searchlab.data.deep_pixels import read_deep
from searchlab.data.image_data import Images
from searchlab.data.image_formats import FORMATS, UnusableImageError
from searchlab.data.pil_setup import DAMAGE, naming
from searchlab.data.pixels import reduced_rgb, to_square, turn_upright

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = [
    "MAX_PIXELS",
    "DecodedImage",
    "FileNote",
    "Progress",
    "UnusableImageError",
    "count_threads",
    "decode_files",
    "decode_image",
]

Progress = Callable[[int, int], None]
"""Called with the number of images done so far and the total."""

MAX_PIXELS = 2**29
"""Images of more pixels, 537 million, are refused: one takes up to 2 GB of memory to decode."""

# A JPEG is decoded at 1/2, 1/4 or 1/8 if that leaves this many times the wanted size.
_DRAFT_FACTOR = 3
# Larger images are decoded one at a time, and made smaller before they become RGB.
_LARGE_PIXELS = 2**26
_MAX_FACTOR = 32  # PIL's means over more pixels are a grey level too low
_MAX_ASPECT = 100
# Faults of the machine, not the file: reading it again may succeed. PIL's own errors have no
# number, and this set has none that a damaged file can cause, such as EINVAL from a seek.
_PASSING_FAULTS = frozenset(
    {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}
)
_FILES_PER_TASK = 32
_MAX_THREADS = 16

_large_image = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """``pixels`` are uint8 [3, S, S]. ``bits`` is the depth that a file of 16 bits seems to have.

    It is None for other files, and for those that say what their values mean. ``has_frames`` tells
    whether the file holds more pictures than the first, which is the one that is decoded.
    """

    pixels: Images
    bits: int | None
    has_frames: bool = False


def decode_image(
    path: Path,
    size: int,
    *,
    content: bytes | None = None,
    fit: Fit = "crop",
    bits: int | None = None,
) -> DecodedImage:
    """Decode a file, or its ``content``, to a square of side ``size``, as ``to_square`` says.

    The image is turned by its EXIF orientation, and laid on white if it is transparent; ``crop`` is
    torchvision's Resize and CenterCrop. ``bits`` is the depth of a file of 16 bits, if it is known
    to be more than its own values need. Raises
    ``UnusableImageError``, or ``OSError`` with the file's name if the machine failed, not the file:
    no permission, a disk fault, too little memory.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        source = path if content is None else content
        opened = path if content is None else BytesIO(content)
        with Image.open(opened, formats=FORMATS) as image:
            image.draft(None, (_DRAFT_FACTOR * size, _DRAFT_FACTOR * size))
            _check_shape(*image.size)
            # A JPEG of several pictures has the photo first, then a preview or a map of depths.
            has_frames = image.format != "MPO" and getattr(image, "is_animated", False)
            is_large = image.width * image.height > _LARGE_PIXELS
            with _large_image if is_large else nullcontext():
                pixels, own_bits = _decode(image, source, size, fit, bits, is_large=is_large)
            return DecodedImage(pixels, own_bits, has_frames)
    except PermissionError:
        raise
    except UnidentifiedImageError as error:
        raise UnusableImageError("is a broken image, or of a format that is not read") from error
    except MemoryError as error:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), str(path)) from error
    except DAMAGE as error:
        number = getattr(error, "errno", None)
        if number in _PASSING_FAULTS:
            raise OSError(number, os.strerror(number), str(path)) from error
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnusableImageError(f"is a broken image file ({reason})") from error


def _check_shape(width: int, height: int) -> None:
    if max(width, height) > _MAX_ASPECT * min(width, height):
        raise UnusableImageError(
            f"is too narrow: {width}x{height}, and the long side may be "
            f"{_MAX_ASPECT} times the short one"
        )
    if width * height > MAX_PIXELS:
        raise UnusableImageError(
            f"is too large: {width}x{height} are {width * height:,} pixels, and the limit "
            f"MAX_PIXELS is {MAX_PIXELS:,}"
        )


def _decode(
    image: ImageFile,
    source: Path | bytes,
    size: int,
    fit: Fit,
    bits: int | None,
    *,
    is_large: bool,
) -> tuple[Images, int | None]:
    """Return the pixels, and the depth that a file of 16 bits seems to have."""
    factor = min(min(image.size) // (_DRAFT_FACTOR * size), _MAX_FACTOR) if is_large else 1
    deep = read_deep(image, source)
    if deep is None:
        if image.mode in ("I", "F"):
            raise UnusableImageError(
                f"has pixels whose range it does not say (PIL's mode {image.mode})"
            )
        image.load()
        upright = turn_upright(reduced_rgb(image, factor), image)
        return to_square(upright, size, fit), None
    own = deep.bits
    depth = own if deep.declared_bits else max(own, bits or 0)
    upright = turn_upright(reduced_rgb(deep.to_image(depth), factor), image)
    return to_square(upright, size, fit), None if deep.declared_bits else own


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNote:
    """What there is to say about a file: the rule that it breaks, or its depth and its frames."""

    index: int
    fault: str | None = None
    bits: int | None = None
    has_frames: bool = False


def decode_files(
    paths: Sequence[Path],
    images: Images,
    *,
    read: Callable[[int], bytes] | None = None,
    fit: Fit = "crop",
    bits: int | None = None,
    on_progress: Progress,
) -> Iterator[FileNote]:
    """Fill ``images`` [N, 3, S, S]; yield a note on each file that needs one, in order.

    ``read`` returns the content of each, if ``paths`` only name them.
    Call it inside ``opening_images``. Raises ``OSError`` as ``decode_image`` does.
    """
    size = images.shape[-1]

    def decode_some(start: int) -> list[FileNote]:
        notes = []
        for index in range(start, min(start + _FILES_PER_TASK, len(paths))):
            try:
                with naming(paths[index]):
                    content = None if read is None else read(index)
                    decoded = decode_image(paths[index], size, content=content, fit=fit, bits=bits)
            except UnusableImageError as error:
                notes.append(FileNote(index=index, fault=str(error)))
                continue
            images[index] = decoded.pixels
            if decoded.bits is not None or decoded.has_frames:
                notes.append(
                    FileNote(index=index, bits=decoded.bits, has_frames=decoded.has_frames)
                )
        return notes

    pool = ThreadPoolExecutor(count_threads(), thread_name_prefix="decode")
    try:
        starts = range(0, len(paths), _FILES_PER_TASK)
        for start, notes in zip(starts, pool.map(decode_some, starts), strict=True):
            yield from notes
            on_progress(min(start + _FILES_PER_TASK, len(paths)), len(paths))
    finally:
        # If the caller gives up at the first broken file, the rest is not decoded.
        pool.shutdown(cancel_futures=True)


def count_threads() -> int:
    """Return how many threads decode images at once."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(here or 1, _MAX_THREADS)
