"""Calibration: whether a classifier that is sure is right. Pure functions of probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Calibration", "ConfidenceBin", "measure_calibration"]

_NUM_BINS = 15  # as Guo et al. 2017

Probabilities = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceBin:
    """The images whose answer has a confidence within a range: how many, and their means."""

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Confidence against accuracy over all images, and in ``bins`` that are not empty.

    ``error`` is the expected calibration error (ECE): the mean distance of a bin's confidence from
    its accuracy, weighted by its images. ``loss`` is the mean negative log-likelihood.
    """

    error: float
    loss: float
    bins: list[ConfidenceBin]


def measure_calibration(probabilities: Probabilities, labels: Labels) -> Calibration:
    """Measure [N, C] probabilities against labels [N], in 15 bins of equal width.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    edges = np.linspace(0, 1, _NUM_BINS + 1)
    places = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, _NUM_BINS - 1)
    bins = [
        ConfidenceBin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            images=int(chosen.sum()),
            confidence=float(confidence[chosen].mean()),
            accuracy=float(right[chosen].mean()),
        )
        for place in range(_NUM_BINS)
        if (chosen := places == place).any()
    ]
    error = sum(one.images * abs(one.confidence - one.accuracy) for one in bins) / len(labels)
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Calibration(
        error=error, loss=float(-np.log(own.clip(np.finfo(np.float64).tiny)).mean()), bins=bins
    )
