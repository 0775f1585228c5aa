"""The optimizers: torch's to the bit, without what torch.compile needs."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from searchlab.training import plain_optimizers
from searchlab.training.lion import Lion

NAMES = plain_optimizers.__all__
WRAPPED = {name: getattr(torch.optim, name, Lion) for name in NAMES}  # torch has no Lion


def train(optimizer: torch.optim.Optimizer, model: nn.Linear) -> list[Tensor]:
    inputs = torch.linspace(-1, 1, 6).reshape(2, 3)
    for _ in range(3):
        optimizer.zero_grad()
        torch.autograd.backward(model(inputs).square().sum())
        optimizer.step()
    moments = [one for state in optimizer.state_dict()["state"].values() for one in state.values()]
    return [*model.parameters(), *(one for one in moments if isinstance(one, Tensor))]


def make_model() -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(3, 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_optimizer_has_torchs_bits_also_after_its_state_was_loaded(name: str) -> None:
    ours, theirs = make_model(), make_model()
    plain = getattr(plain_optimizers, name)(ours.parameters(), lr=0.1, weight_decay=0.01)
    wrapped = WRAPPED[name](theirs.parameters(), lr=0.1, weight_decay=0.01)
    for _ in range(2):
        for one, other in zip(train(plain, ours), train(wrapped, theirs), strict=True):
            assert torch.equal(one, other)
        plain.load_state_dict(copy.deepcopy(wrapped.state_dict()))


def test_training_and_counting_import_nothing_that_torch_compile_needs() -> None:
    code = f"""
import sys, torch
from searchlab.config.trial import ModelConfig
from searchlab.models.build import count_multiply_adds
from searchlab.training import plain_optimizers
from searchlab.training.process import repeatable
with repeatable(1, torch.device("cpu")):
    for name in {NAMES}:
        weights = torch.zeros(2, requires_grad=True)
        optimizer = getattr(plain_optimizers, name)([weights], lr=0.1)
        optimizer.zero_grad()
        torch.autograd.backward(weights.sum())
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
assert count_multiply_adds(ModelConfig(family="cnn"), image_shape=(1, 8, 8), num_classes=2)
assert not sys.modules.keys() & {{"torch._dynamo", "sympy"}}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
