"""DatasetSpec: the images of a study."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from pydantic import Field, model_validator

from searchlab.config.trial import Normalization
from searchlab.config.validation import Spec
from searchlab.errors import InputError

__all__ = ["ColumnsSpec", "DatasetSpec", "Fit"]

Fit = Literal["crop", "pad", "stretch"]
"""How an image becomes a square: its middle, all of it on black, or all of it out of shape."""


class ColumnsSpec(Spec):
    """The columns of datasets ``table`` and ``huggingface``.

    Images of one group never lie on both sides of a split. With ``time``, folds and the test set
    are later than the images that are trained on.
    """

    path: str = Field("path", min_length=1, description="column of the image files")
    label: str = Field("label", min_length=1, description="column of the classes")
    split: str = Field(
        "split",
        min_length=1,
        description="column with train or test, if the table has it; else a fifth is the test set",
    )
    group: str | None = Field(
        None, min_length=1, description="column of what images have in common, such as a patient"
    )
    time: str | None = Field(
        None,
        min_length=1,
        description="column of when images were taken, as numbers or ISO dates: models train on "
        "earlier images than those that they are validated and tested on",
    )

    @model_validator(mode="after")
    def _check_time(self) -> ColumnsSpec:
        if self.time is not None and self.group is not None:
            raise InputError(
                "cannot be named together with group: folds are either of groups or of times",
                where=("time",),
                found=self.time,
                remedy="Leave one of them out",
            )
        return self


class DatasetSpec(Spec):
    """Which images to use, and how to scale pixels.

    ``normalize: standard`` scales each channel to mean 0 and deviation 1 over a model's training
    images; ``unit`` leaves pixels in [0, 1], like report 000; ``half`` maps them to [-1, 1], like
    report 003; ``imagenet`` uses ImageNet's statistics, for pretrained weights.
    """

    name: str = Field(description="a registered dataset; see `searchlab data list`")
    normalize: Normalization = Field("standard", description="how pixels are scaled")
    root: str | None = Field(
        None,
        description="for dataset folder: the folder that contains the class folders; for table and "
        "arrays: the file; for huggingface: the folder that save_to_disk wrote",
    )
    size: int | None = Field(
        None, ge=8, le=1024, description="side of the images in pixels, for datasets of image files"
    )
    fit: Fit = Field(
        "crop",
        description="how an image file becomes a square of that size: crop its middle, pad its "
        "short side with black, or stretch it",
    )
    columns: ColumnsSpec = Field(
        default_factory=ColumnsSpec,
        description="for datasets table and huggingface: what their columns are called",
    )
    skip_broken: bool = Field(False, description="skip and count broken image files")
    limit: int | None = Field(
        None, ge=1, description="use only this many training images, stratified by class"
    )

    @property
    def title(self) -> str:
        """What people call the images: the name of their folder or file, or the dataset's own."""
        return self.name if self.root is None else PurePath(self.root).name

    @property
    def kind_of_folds(self) -> str:
        """What the folds of the training images are, in a word."""
        if self.columns.time is not None:
            return "time-ordered"
        return "grouped" if self.columns.group is not None else "stratified"
