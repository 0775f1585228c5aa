"""Which files are images: by their content, whatever they are called."""

from __future__ import annotations

from pathlib import Path

from searchlab.data.pil_setup import DAMAGE, naming

__all__ = [
    "FORMATS",
    "UnusableImageError",
    "has_image_name",
    "has_other_image_name",
    "holds_image",
]

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
"""The formats that are decoded. No others: PIL passes EPS to a PostScript interpreter."""

_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2",
)  # fmt: skip
_OTHER_ENDINGS = (
    ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw", ".3fr",
    ".heic", ".heif", ".jxl", ".svg", ".svgz", ".psd", ".psb", ".xcf", ".ai", ".eps", ".ico",
    ".icns", ".tga", ".exr", ".hdr", ".dds", ".pcx", ".jxr", ".dcm", ".dicom", ".fits", ".czi",
)  # fmt: skip


class UnusableImageError(Exception):
    """A file cannot be used; the message is the rule that it breaks, as ``InputError`` has it."""


def has_image_name(name: str) -> bool:
    """Return whether a file's name says that it is an image of one of ``FORMATS``."""
    return name.lower().endswith(_ENDINGS)


def has_other_image_name(name: str) -> bool:
    """Return whether a file's name says that it is an image of a format that is not decoded."""
    return name.lower().endswith(_OTHER_ENDINGS)


def holds_image(path: Path) -> bool:
    """Return whether a file begins as an image of one of ``FORMATS``; inside ``opening_images``.

    Raises ``OSError`` if the file cannot be read.
    """
    from PIL import Image

    # A camera's raw file is a TIFF by its content, but PIL finds only the thumbnail in it.
    no_tiff = has_other_image_name(path.name)
    formats = [name for name in FORMATS if not (no_tiff and name == "TIFF")]
    try:
        with naming(path), Image.open(path, formats=formats):
            return True
    except DAMAGE as error:
        if getattr(error, "errno", None) is not None:
            raise
        return False
