"""Labels that look wrong: all models that never saw an image are sure of the same other class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from searchlab.analysis.label_faults import find_suspects
from searchlab.training.held_out import HeldOut

LABELS = np.array([0, 1, 2, 0, 1])


def witness(answers: Sequence[tuple[int, int, float]]) -> HeldOut:
    """Return a model's predictions: of an image, a class with a probability, the rest shared."""
    indices = np.array([index for index, _, _ in answers])
    probabilities = np.array(
        [[p if k == answer else (1 - p) / 2 for k in range(3)] for _, answer, p in answers]
    )
    log_probabilities = np.log(probabilities).astype(np.float32)
    return HeldOut(indices=indices, log_probabilities=log_probabilities)


def test_only_an_image_that_all_are_sure_of_is_suspect() -> None:
    first = witness([(0, 1, 0.9), (1, 1, 0.9), (2, 0, 0.9), (3, 1, 0.9), (4, 0, 0.9)])
    second = witness([(0, 1, 0.8), (1, 1, 0.9), (2, 1, 0.9), (3, 1, 0.4), (4, 1, 0.9)])
    [found] = find_suspects([first, second], LABELS)
    assert (found.index, found.label, found.answer, found.models) == (0, 0, 1, 2)
    assert found.confidence == pytest.approx(0.8)


def test_one_witness_is_none() -> None:
    assert find_suspects([witness([(0, 1, 0.99)])], LABELS) == []
    assert find_suspects([witness([(0, 1, 0.99)]), witness([(3, 1, 0.99)])], LABELS) == []
    assert find_suspects([], LABELS) == []


def test_witnesses_may_know_other_images() -> None:
    partly = [
        witness([(0, 1, 0.9), (3, 2, 0.9)]),
        witness([(3, 2, 0.7)]),
        witness([(0, 1, 0.6), (2, 2, 0.9)]),
    ]
    found = find_suspects(partly, LABELS)
    assert [(one.index, one.answer, one.models) for one in found] == [(3, 2, 2), (0, 1, 2)]


def test_the_first_is_the_one_whose_least_convinced_witness_is_the_surest() -> None:
    one = witness([(0, 1, 0.999), (1, 0, 0.9), (2, 0, 0.97)])
    other = witness([(0, 1, 0.6), (1, 0, 0.95), (2, 0, 0.8)])
    for witnesses in ([one, other], [other, one]):
        assert [found.index for found in find_suspects(witnesses, LABELS)] == [1, 2, 0]
