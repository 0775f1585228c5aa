"""Which classes a model takes for which, from its answers. Pure functions of counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ClassFigures", "Confusion", "count_confusions", "list_confusions", "measure_classes"]

Counts = npt.NDArray[np.float64]
Classes = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """Of one class: its ``images``, and precision, recall and F1, None where nothing is counted.

    Precision is None for a class that was never answered, recall for one without images.
    """

    images: float
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """So many images of one class were taken for another."""

    true: int
    taken_for: int
    images: float


def count_confusions(labels: Classes, guesses: Classes, num_classes: int) -> Counts:
    """Return the images by true and predicted class, [C, C], as the mean over models' guesses.

    ``guesses`` are [R, N] of ``labels`` [N].
    """
    cells = labels[None] * num_classes + guesses
    counts = np.bincount(cells.ravel(), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes) / len(guesses)


def measure_classes(counts: Counts) -> list[ClassFigures]:
    """Return each class's figures from counts [C, C]."""
    right, images, answered = counts.diagonal(), counts.sum(1), counts.sum(0)
    return [
        ClassFigures(
            images=float(images[index]),
            precision=_divide(right[index], answered[index]),
            recall=_divide(right[index], images[index]),
            f1=_divide(2 * right[index], images[index] + answered[index]),
        )
        for index in range(len(counts))
    ]


def list_confusions(counts: Counts, most: int) -> list[Confusion]:
    """Return at most so many pairs of classes that were mixed up, the most frequent first."""
    mixed = counts.copy()
    np.fill_diagonal(mixed, 0)
    order = np.argsort(-mixed, axis=None, kind="stable")[:most]
    pairs = [divmod(int(cell), len(counts)) for cell in order]
    return [
        Confusion(true=true, taken_for=other, images=float(mixed[true, other]))
        for true, other in pairs
        if mixed[true, other] > 0
    ]


def _divide(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
