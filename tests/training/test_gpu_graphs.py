"""Steps as CUDA graphs: the same bits as without, and no waiting. Skipped without a CUDA device.

Needs neither Ray nor Optuna, if pytest leaves tests/conftest.py out:

    PYTHONPATH=. pytest --noconftest -n 0 -m gpu tests/training/test_gpu*.py
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_trials import DEVICE, MOODY, SETTINGS, configure, draw_data, run_all
from torch import Tensor
from trial_configs import untimed

from searchlab.config.settings import OptimizerName
from searchlab.config.trial import FoldPlan, ModelConfig
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.memory import free_memory
from searchlab.training.memory_check import probe_training
from searchlab.training.optimizers import OPTIMIZERS
from searchlab.training.process import repeatable
from searchlab.training.run import TrialFolders, TrialRun

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

SIDE_BY_SIDE = FoldPlan(num_folds=4, folds=(0, 1, 2, 3), search_folds=1, test=True)


@pytest.fixture(autouse=True)
def as_in_a_worker() -> Iterator[None]:
    """Choose the kernels that a worker chooses, which repeat their bits."""
    with repeatable(1, DEVICE):
        yield


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return draw_data(DEVICE)


def make_folders(tmp_path: Path) -> TrialFolders:
    return TrialFolders(checkpoints=tmp_path, models=tmp_path / "models", checkpoint_seconds=1e9)


# 48 images to train on: batches of 20, 20 and 8.
@pytest.mark.parametrize("name", SETTINGS)
def test_graphs_train_the_same_models_side_by_side(name: str, data: TrainingData) -> None:
    trial = configure(folds=SIDE_BY_SIDE, batch_size=20, epochs=4, **SETTINGS[name])
    plain, graphed = (Cohort(trial, data, graphed=graphed) for graphed in (False, True))
    assert run_all(graphed) == run_all(plain)
    for one, other in zip(plain.members, graphed.members, strict=True):
        assert all(map(torch.equal, one.snapshot().values(), other.snapshot().values()))
        recorded: Any = other._graphed
        assert all(graph is not None for graph in recorded._graphs.values())
        assert sorted(recorded._graphs) == [8, 20]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_trial_by_graphs_goes_on_where_it_was(
    name: OptimizerName, schedule: str, data: TrainingData, tmp_path: Path
) -> None:
    trial = configure(optimizer=name, lr=0.01, schedule=schedule, cuda_graphs=True, epochs=4)
    expected = run_all(Cohort(trial, data))
    stopped = TrialRun(trial, data, make_folders(tmp_path))
    for _ in range(2):
        stopped.step()
    stopped.save()
    continued = TrialRun(trial, data, make_folders(tmp_path))
    results = [replace(untimed(continued.step()), replayed=False) for _ in expected]
    assert results == expected


@pytest.mark.parametrize("graphed", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_waits_for_nothing(name: str, graphed: bool, data: TrainingData) -> None:
    member = Member(configure(batch_size=8, **SETTINGS[name]), data, 0, graphed=graphed)
    member.train_epoch(1)  # records the step, which waits
    member.begin_epoch(2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        while member.advance():
            pass
    finally:
        torch.cuda.set_sync_debug_mode("default")
    member.end_epoch()


def test_a_probe_predicts_what_graphs_reserve(data: TrainingData) -> None:
    model = ModelConfig(family="cnn", parameters={"width": 64})
    trial = configure(model=model, folds=SIDE_BY_SIDE, cuda_graphs=True, epochs=3)
    result = probe_training(trial, data)
    free_memory()
    torch.cuda.reset_peak_memory_stats(DEVICE)
    cohort = Cohort(trial, data, graphed=True)
    run_all(cohort)
    peak = torch.cuda.max_memory_reserved(DEVICE)
    assert result.cohort_bytes(SIDE_BY_SIDE.num_members) == pytest.approx(peak, rel=0.25)


def test_a_freed_trial_gives_its_graphs_memory_back(data: TrainingData) -> None:
    trial = configure(model=MOODY, epochs=2)
    run_all(Cohort(trial, data, graphed=True))  # after which cuBLAS keeps its workspaces
    free_memory()
    before = torch.cuda.memory_reserved(DEVICE)
    cohort = Cohort(trial, data, graphed=True)
    run_all(cohort)
    assert torch.cuda.memory_reserved(DEVICE) > before
    del cohort
    free_memory()
    assert torch.cuda.memory_reserved(DEVICE) <= before


class _Looking(torch.nn.Module):
    """Lets the host decide, which a graph cannot record."""

    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else x * 1


# The last, because on torch 2.11 a recording that fails leaves its memory taken.
def test_a_step_that_cannot_be_recorded_is_trained_without(
    data: TrainingData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trial = configure(cuda_graphs=True)
    make_graphed = Member._make_graphed

    def make_with_a_look(member: Member) -> Any:
        member.model.register_forward_pre_hook(lambda _, inputs: _Looking()(inputs[0]))
        return make_graphed(member)

    monkeypatch.setattr(Member, "_make_graphed", make_with_a_look)
    with caplog.at_level(logging.WARNING):
        run = TrialRun(trial, data, make_folders(tmp_path))
        results = [untimed(run.step()) for _ in range(3)]
    assert results == run_all(Cohort(trial, data))
    [record] = [one for one in caplog.records if "without CUDA graphs" in one.getMessage()]
    assert "trial 7" in record.getMessage()
