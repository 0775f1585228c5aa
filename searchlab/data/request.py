"""A request for a dataset, and what is known about the dataset before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from searchlab.config.dataset import ColumnsSpec, Fit
from searchlab.errors import InputError

__all__ = ["DatasetFacts", "DatasetRequest", "UnusableFileError", "unusable_file"]


class UnusableFileError(InputError):
    """A file that cannot be used, such as a broken image or link.

    How it is skipped, each command says itself.
    """


def unusable_file(rule: str, path: Path) -> UnusableFileError:
    """Return the error about a file that breaks ``rule``."""
    return UnusableFileError(
        rule,
        where=str(path),
        remedy="Repair or delete it, or skip all such files: dataset.skip_broken: true in the "
        "study, or --set dataset.skip_broken=true",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequest:
    """A dataset by name, with the user's choices; checked when it is used.

    ``root`` is the image folder of dataset ``folder``, the file of ``table`` or ``arrays``, or the
    folder of ``huggingface``. ``columns`` names the columns of ``table`` and ``huggingface``.
    ``size`` is the side in pixels to which image files are resized, and ``fit`` says how.
    ``skip_broken`` skips files that cannot be decoded, and broken links.
    ``limit`` keeps at most that many training images, stratified by class; the test set is not
    reduced.
    """

    name: str
    root: Path | None = None
    columns: ColumnsSpec = field(default_factory=ColumnsSpec)
    size: int | None = None
    fit: Fit = "crop"
    skip_broken: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """What models must suit: ``image_shape`` is (C, H, W).

    ``class_names`` are in the order of the labels, empty if the classes have none.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    class_names: tuple[str, ...] = ()
