"""What a trial's record gets when it ends: its user attributes and its learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from searchlab.study import attributes as attr
from searchlab.training.results import EpochResult

__all__ = ["end_attributes", "learning_curves"]

_FIGURES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def end_attributes(
    results: Mapping[int, EpochResult], reason: str | None, error: str | None
) -> dict[str, object]:
    """Return the user attributes of a trial that ended after ``results``, by epoch."""
    attributes: dict[str, object] = {}
    if reason is not None:
        attributes[attr.STOP_REASON] = reason
    if error is not None:
        attributes[attr.ERROR] = error
    if results:
        last = results[max(results)]
        seconds = math.fsum(result.seconds for result in results.values())
        attributes[attr.EPOCHS] = last.epoch
        attributes[attr.NUM_PARAMETERS] = last.num_parameters
        attributes[attr.SECONDS] = round(seconds, 3)
        attributes[attr.FOLD_VALUES] = list(last.fold_values)
        if last.test is not None:
            attributes[attr.TEST_ACCURACY] = last.test.accuracy
            attributes[attr.TEST_LOSS] = last.test.loss
    return attributes


def learning_curves(results: Mapping[int, EpochResult]) -> dict[str, list[Any]]:
    """Gather, for each figure, a list a fold of a value an epoch; and the seconds of each epoch."""
    trained = [results[epoch] for epoch in sorted(results) if not results[epoch].diverged]
    folds = range(len(trained[0].folds)) if trained else range(0)
    curves: dict[str, list[Any]] = {
        figure: [
            [round(getattr(result.folds[fold], figure), 6) for result in trained] for fold in folds
        ]
        for figure in _FIGURES
    }
    return {**curves, "seconds": [round(result.seconds, 3) for result in trained]}
