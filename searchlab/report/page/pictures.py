"""Images of a study's data in its report: which one each is, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from searchlab.report.page.blocks import Picture

if TYPE_CHECKING:
    from searchlab.engine.diagnostics.results import Place, ShownImage

__all__ = ["IMAGE_COLUMNS", "name_class", "name_image", "picture"]

IMAGE_COLUMNS = ("image", "file")


def picture(shown: ShownImage, cells: Sequence[str]) -> Picture:
    """Return an image with ``IMAGE_COLUMNS`` and further cells."""
    place = shown.place
    return Picture(
        png=shown.png,
        longest_side=max(shown.width, shown.height),
        cells=[name_image(place), place.file or "", *cells],
    )


def name_image(place: Place) -> str:
    """Return which image it is: images are counted from 0, as everywhere in Python."""
    return f"{place.part} {place.index}"


def name_class(names: Sequence[str], index: int) -> str:
    """Return a class's name, or its number if it has none."""
    return names[index] if 0 <= index < len(names) else str(index)
