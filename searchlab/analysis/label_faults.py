"""Labels that look wrong, because models that never saw them all say so. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchlab.training.held_out import HeldOut

__all__ = ["Suspect", "find_suspects"]

_SURE = math.log(0.5)  # more likely than all other classes together


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """An image that ``models`` models, all that were asked, take for another class than its label.

    ``confidence`` is the least that any of them gives to that class.
    """

    index: int
    label: int
    answer: int
    models: int
    confidence: float


def find_suspects(
    witnesses: Iterable[HeldOut], labels: npt.NDArray[np.integer], *, least_models: int = 2
) -> list[Suspect]:
    """Return the images with a label on which no witness agrees: each is sure of one other class.

    Sure is more than half. So many witnesses at least must have been asked about an image. The
    first are those whose least convinced witness is the surest that it is the other class and not
    the label, in odds.
    """
    asked = np.zeros(len(labels), np.int64)
    answers = np.full(len(labels), -1)
    agree = np.ones(len(labels), bool)
    confidence = np.full(len(labels), np.inf)
    odds = np.full(len(labels), np.inf)
    for witness in witnesses:
        places, values = witness.indices, witness.log_probabilities
        rows = np.arange(len(places))
        guesses = values.argmax(1)
        own, labelled = values[rows, guesses], values[rows, labels[places]]
        is_first = asked[places] == 0
        agree[places] &= (guesses != labels[places]) & (own > _SURE)
        agree[places] &= is_first | (answers[places] == guesses)
        answers[places] = guesses
        asked[places] += 1
        confidence[places] = np.minimum(confidence[places], own)
        odds[places] = np.minimum(odds[places], own - labelled)
    found = np.flatnonzero(agree & (asked >= least_models) & (asked > 0)).tolist()
    return [
        Suspect(
            index=index,
            label=int(labels[index]),
            answer=int(answers[index]),
            models=int(asked[index]),
            confidence=math.exp(confidence[index]),
        )
        for index in sorted(found, key=lambda index: (-odds[index], index))
    ]
