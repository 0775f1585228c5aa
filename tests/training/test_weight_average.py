"""The moving average of weights against hand computation, and that it is what is evaluated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from trial_configs import load_digits, make_trial

from searchlab.config.trial import ModelConfig
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.member import Member

MOODY = ModelConfig(family="cnn", parameters={"width": 4, "batch_norm": True})


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=10)


def raw_state(member: Member) -> dict[str, Any]:
    return {name: one.double().numpy().copy() for name, one in member.model.state_dict().items()}


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_it_is_the_average_of_the_weights_after_each_step(
    digits: TrainingData, decay: float
) -> None:
    member = Member(make_trial(model=MOODY, ema_decay=decay, batch_size=16), digits, 0)
    expected = raw_state(member)
    member.begin_epoch(1)
    count = 0
    while member.advance():
        keep = min(decay, (1 + count) / (10 + count))
        for name, weight in raw_state(member).items():
            expected[name] = keep * expected[name] + (1 - keep) * weight
        count += 1
    assert count == 8
    before = raw_state(member)
    averaged = member.snapshot()
    assert averaged["norm1.num_batches_tracked"] == count  # a count, not an average
    for name, value in averaged.items():
        if value.is_floating_point():
            np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-4, atol=1e-6)
            assert not np.allclose(before[name], value.numpy(), atol=1e-6)
    assert all((raw_state(member)[name] == before[name]).all() for name in before)


def test_the_average_is_validated_saved_and_tested(digits: TrainingData) -> None:
    cohort = Cohort(make_trial(model=MOODY, ema_decay=0.9, epochs=1), digits)
    result = cohort.run_epoch()
    fold, full = cohort.members[0], cohort.full
    assert full is not None
    assert cohort.best_weights is not None
    raw = raw_state(fold)
    fold.model.load_state_dict(fold.snapshot())
    fold.average = None
    assert fold.validate()[0] == result.folds[0].validation
    assert any((raw_state(fold)[name] != raw[name]).any() for name in raw)
    # The full model has been given them to be tested.
    for name, value in full.model.state_dict().items():
        assert torch.equal(value, cohort.best_weights[name])


def test_it_changes_no_weight_that_is_trained(digits: TrainingData) -> None:
    ours, plain = (Member(make_trial(ema_decay=decay), digits, 0) for decay in (0.9, 0.0))
    for epoch in (1, 2):
        assert ours.train_epoch(epoch) == plain.train_epoch(epoch)
        assert ours.validate()[0] != plain.validate()[0]
    assert all(map(torch.equal, ours.model.parameters(), plain.model.parameters()))
