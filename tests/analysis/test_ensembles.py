"""The average of several classifiers' probabilities."""

from __future__ import annotations

import math

import pytest
import torch

from searchlab.analysis.ensembles import evaluate_ensemble


def test_probabilities_are_averaged_not_logits_nor_votes() -> None:
    # One member is sure of class 1, two lean to class 0: by votes 0, by probability 1.
    members = [torch.tensor([[0.0, 9.0]]), torch.tensor([[0.1, 0.0]]), torch.tensor([[0.1, 0.0]])]
    probability = (1 / (1 + math.exp(-9)) + 2 / (1 + math.exp(0.1))) / 3
    figures = evaluate_ensemble(members, torch.tensor([1]))
    assert figures["accuracy"] == 1.0
    assert figures["loss"] == pytest.approx(-math.log(probability), abs=1e-6)
    assert evaluate_ensemble(members, torch.tensor([0]))["accuracy"] == 0.0


def test_equal_members_are_worth_what_one_is() -> None:
    logits = torch.randn((50, 4), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 4
    figures = evaluate_ensemble([logits, logits], labels)
    assert figures["accuracy"] == float((logits.argmax(1) == labels).double().mean())
    loss = torch.nn.functional.cross_entropy(logits.double(), labels)
    assert figures["loss"] == pytest.approx(float(loss))


def test_a_probability_of_zero_gives_a_finite_loss() -> None:
    sure = torch.tensor([[0.0, -1e30]])
    assert math.isfinite(evaluate_ensemble([sure, sure], torch.tensor([1]))["loss"])


@pytest.mark.parametrize("shapes", [[(3, 2)], [], [(3, 2), (3, 4)], [(3, 2), (4, 2)]])
def test_less_than_two_members_of_one_shape_are_refused(shapes: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="needs two members of one shape"):
        evaluate_ensemble([torch.zeros(shape) for shape in shapes], torch.zeros(3).long())
