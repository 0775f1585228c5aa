"""What is asked of a dataset, and what is known of it before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DatasetFacts", "DatasetRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequest:
    """A dataset by name, with what may be chosen about it; checked where it is used.

    ``root`` is the image folder of dataset ``folder``. ``size`` is the side in pixels that image
    files are brought to. ``skip_broken`` leaves out files that cannot be decoded. ``limit`` keeps
    at most so many training images, by class; the test set stays whole.
    """

    name: str
    root: Path | None = None
    size: int | None = None
    skip_broken: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """What models must suit: ``image_shape`` is (C, H, W).

    ``class_names`` are in the order of the labels, where folders name the classes; else empty.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    class_names: tuple[str, ...] = ()
