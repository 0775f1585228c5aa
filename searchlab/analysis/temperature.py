"""Temperature scaling: one number that makes a classifier as sure as it is right."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["apply_temperature", "fit_temperature"]

_LOWEST, _HIGHEST = 0.05, 20.0

LogProbabilities = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]


def fit_temperature(log_probabilities: LogProbabilities, labels: Labels) -> float:
    """Return the temperature in 0.05..20 with the least loss (mean negative log-likelihood).

    ``log_probabilities`` are [N, C]; logits do as well. Fit it on images that the model was not
    trained on. Source: Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    from scipy.optimize import minimize_scalar

    loss = _loss_at(log_probabilities, labels)
    bounds = (math.log(_LOWEST), math.log(_HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return math.exp(found.x)


def _loss_at(values: LogProbabilities, labels: Labels) -> Callable[[float], float]:
    values = values - values.max(1, keepdims=True)
    own = float(values[np.arange(len(labels)), labels].mean(dtype=np.float64))

    def measure(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        sums = np.exp(values * np.asarray(scale, values.dtype)).sum(1)
        return float(np.log(sums).mean(dtype=np.float64)) - scale * own

    return measure


def apply_temperature(logits: LogProbabilities, temperature: float) -> npt.NDArray[np.float64]:
    """Return the probabilities [N, C] of logits, or of log-probabilities, at a temperature."""
    values = logits.astype(np.float64) / temperature
    values -= values.max(1, keepdims=True)
    np.exp(values, out=values)
    probabilities: npt.NDArray[np.float64] = values / values.sum(1, keepdims=True)
    return probabilities
