"""The average of several classifiers' probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from searchlab.analysis.ensembles import evaluate_ensemble, select_greedily


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


def test_weights_are_shares_of_the_probabilities() -> None:
    members = [torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])]
    shares = [float(member.softmax(1)[0, 1]) for member in members]
    expected = -math.log(0.25 * shares[0] + 0.75 * shares[1])
    figures = evaluate_ensemble(members, torch.tensor([1]), weights=[0.25, 0.75])
    assert figures["loss"] == pytest.approx(expected)


def make_members(*skills: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities [M, 600, 3] of models that are right this often, and labels."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, 600)
    probabilities = np.full((len(skills), 600, 3), 0.15)
    for member, skill in enumerate(skills):
        right = generator.random(600) < skill
        answers = np.where(right, labels, (labels + 1) % 3)
        probabilities[member, np.arange(600), answers] = 0.7
    return probabilities, labels


def loss_of(probabilities: np.ndarray, labels: np.ndarray, weights: list[float]) -> float:
    mean = np.tensordot(weights, probabilities, 1)
    return float(-np.log(mean[np.arange(len(labels)), labels]).mean())


def test_greed_finds_weights_near_the_best_that_there_are() -> None:
    probabilities, labels = make_members(0.9, 0.8, 0.6)
    weights = select_greedily(probabilities, labels)
    assert sum(weights) == pytest.approx(1)
    steps = range(0, 51)
    every = [
        loss_of(probabilities, labels, [a / 50, b / 50, (50 - a - b) / 50])
        for a in steps
        for b in steps
        if a + b <= 50
    ]
    assert loss_of(probabilities, labels, weights) <= min(every) + 1e-3
    assert weights[0] > weights[1] > weights[2]


def test_a_member_that_only_harms_gets_no_weight() -> None:
    probabilities, labels = make_members(0.9, 0.05)
    assert select_greedily(probabilities, labels) == [1, 0]


def test_members_that_are_sure_and_wrong_have_finite_weights() -> None:
    probabilities = np.stack([np.eye(2)[[1, 0]], np.eye(2)[[0, 1]]])
    assert select_greedily(probabilities, np.array([0, 1])) == [0, 1]
