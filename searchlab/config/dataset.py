"""DatasetSpec: the images of a study."""

from __future__ import annotations

from pydantic import Field

from searchlab.config.trial import Normalization
from searchlab.config.validation import Spec

__all__ = ["DatasetSpec"]


class DatasetSpec(Spec):
    """Which images, and how pixels are scaled.

    ``normalize: standard`` scales each channel to mean 0 and deviation 1 over the images that a
    model is trained on; ``unit`` leaves pixels in [0, 1], as report 000 did; ``half`` maps them to
    [-1, 1], as report 003 did; ``imagenet`` uses ImageNet's means, for transferred weights.
    """

    name: str = Field(description="a registered dataset; see `searchlab data list`")
    normalize: Normalization = Field("standard", description="how pixels are scaled")
    root: str | None = Field(None, description="dataset folder: the folder of its class folders")
    size: int | None = Field(
        None, ge=8, le=1024, description="side of the images in pixels, for datasets of image files"
    )
    skip_broken: bool = Field(False, description="skip and count image files that are broken")
    limit: int | None = Field(
        None, ge=1, description="train on so many of the training images, drawn by class"
    )
