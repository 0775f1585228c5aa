"""Steps fed from tables on the device: on the CPU the same to the bit as those fed by the host."""

from __future__ import annotations

import logging
import weakref
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.attacks import AttackSpec
from searchlab.config.settings import AUGMENTATIONS
from searchlab.config.trial import ModelConfig, TrialConfig
from searchlab.training import run as run_module
from searchlab.training.cohort import Cohort
from searchlab.training.graphed_steps import GraphedSteps, RecordingError, can_graph
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.optimizers import OPTIMIZERS
from searchlab.training.results import EpochResult
from searchlab.training.run import TrialFolders, TrialRun
from searchlab.training.schedules import SCHEDULES

MOODY = ModelConfig(family="cnn", parameters={"width": 4, "batch_norm": True})
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    **{name: {"optimizer": name, "momentum": 0.5, "weight_decay": 0.01} for name in OPTIMIZERS},
    **{name: {"schedule": name, "step_epochs": 1, "warmup_epochs": 0.5} for name in SCHEDULES},
    "nesterov with clipping": {
        "optimizer": "sgd",
        "momentum": 0.9,
        "nesterov": True,
        "clip_norm": 0.1,
    },
    "every augmentation": {"augment": "+".join(AUGMENTATIONS), "cutout_size": 2},
    "no dropout, smooth labels": {"dropout": 0.0, "label_smoothing": 0.1},
    "fgsm": {"adversarial": "fgsm", "robustness": AttackSpec()},
    "pgd in bfloat16": {"adversarial": "pgd", "attack_steps": 2, "precision": "bfloat16"},
    "a last batch of one, which joins the one before": {"batch_size": 38},
    "one batch": {"batch_size": 1000},
    "steps of several batches": {"batch_size": 16, "accumulate": 3, "augment": "flip"},
    "an average, and layers that learn more slowly": {
        "ema_decay": 0.9,
        "layer_decay": 0.7,
        "decay_norms": False,
        "weight_decay": 0.01,
        "schedule": "cosine",
    },
    "a frozen layer": {"model": ModelConfig(family="a2", scheme="HF"), "dropout": 0.0},
}


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=10)


def configure(**changes: Any) -> TrialConfig:
    return make_trial(**{"model": MOODY, "epochs": 2, "batch_size": 48, **changes})


def run_all(cohort: Cohort) -> list[EpochResult]:
    results = [cohort.run_epoch()]
    while not results[-1].done:
        results.append(cohort.run_epoch())
    return [untimed(result) for result in results]


def weights(cohort: Cohort) -> list[torch.Tensor]:
    assert cohort.full is not None
    members = [*cohort.members, cohort.full]
    return [value for member in members for value in member.snapshot().values()]


@pytest.mark.parametrize("name", SETTINGS)
def test_they_train_the_same_models(name: str, digits: TrainingData) -> None:
    trial = configure(**SETTINGS[name])
    plain, graphed = (Cohort(trial, digits, graphed=graphed) for graphed in (False, True))
    assert run_all(graphed) == run_all(plain)
    assert all(map(torch.equal, weights(graphed), weights(plain)))


def test_a_last_batch_of_one_image_is_among_what_was_compared(digits: TrainingData) -> None:
    training, _ = digits.split(0)
    size = SETTINGS["a last batch of one, which joins the one before"]["batch_size"]
    assert len(training) % size == 1


def test_batches_of_one_train_the_same_model(digits: TrainingData) -> None:
    plain, graphed = (Member(configure(batch_size=1), digits, 0, graphed=g) for g in (False, True))
    assert graphed.train_epoch(1, most_batches=3) == plain.train_epoch(1, most_batches=3)


def test_batches_in_parts_train_the_same_models(digits: TrainingData) -> None:
    trial = configure()
    plain, graphed = (
        Cohort(trial, digits, batch_split=4, graphed=graphed) for graphed in (False, True)
    )
    assert run_all(graphed) == run_all(plain)


def test_a_diverging_trial_diverges_alike(digits: TrainingData) -> None:
    trial = configure(lr=1e30, optimizer="sgd")
    [result] = run_all(Cohort(trial, digits, graphed=True))
    assert result == run_all(Cohort(trial, digits))[0]
    assert result.diverged


def make_folders(tmp_path: Path) -> TrialFolders:
    return TrialFolders(checkpoints=tmp_path, models=tmp_path / "models", checkpoint_seconds=1e9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("taken_up", [(False, True), (True, False), (True, True)])
def test_a_trial_may_be_taken_up_by_either_kind_of_steps(
    taken_up: tuple[bool, bool],
    optimizer: str,
    digits: TrainingData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial = configure(optimizer=optimizer, schedule="cosine")
    first, second = taken_up
    monkeypatch.setattr(run_module, "can_graph", lambda *_: first)
    stopped = TrialRun(trial, digits, make_folders(tmp_path))
    stopped.step()
    stopped.save()
    monkeypatch.setattr(run_module, "can_graph", lambda *_: second)
    continued = TrialRun(trial, digits, make_folders(tmp_path))
    results = [replace(untimed(continued.step()), replayed=False) for _ in range(2)]
    assert results == run_all(Cohort(trial, digits))


def test_a_step_that_cannot_be_recorded_is_trained_without_in_one_line(
    digits: TrainingData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trial = configure()
    monkeypatch.setattr(run_module, "can_graph", lambda *_: True)
    sizes: list[int] = []

    def fail_at_third(steps: GraphedSteps, size: int) -> None:
        sizes.append(size)
        if len(sizes) == 3:
            failed.append(weakref.ref(steps))
            raise RecordingError("operation not permitted when stream is capturing")
        steps._run(size)

    def begin(*arguments: Any, **options: Any) -> Cohort:
        held.append([one() for one in failed])
        return Cohort(*arguments, **options)

    failed: list[weakref.ref[GraphedSteps]] = []
    held: list[list[GraphedSteps | None]] = []
    monkeypatch.setattr(GraphedSteps, "step", fail_at_third)
    monkeypatch.setattr(run_module, "Cohort", begin)
    with caplog.at_level(logging.WARNING):
        run = TrialRun(trial, digits, make_folders(tmp_path))
        results = [untimed(run.step()) for _ in range(2)]
    assert results == run_all(Cohort(trial, digits))
    assert held == [[], [None]]  # what failed takes no memory from what goes on
    [record] = caplog.records
    assert record.getMessage() == (
        "trial 7 goes on without CUDA graphs: operation not permitted when stream is capturing"
    )


class _Drawing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, 0.5, self.training)


def test_a_network_that_draws_from_torchs_own_generators_is_not_recorded(
    digits: TrainingData,
) -> None:
    member = Member(configure(), digits, 0, graphed=True)
    member.model.register_forward_pre_hook(lambda _, inputs: _Drawing()(inputs[0]))
    state = torch.get_rng_state()
    with pytest.raises(RecordingError, match="a layer draws from torch's own generators"):
        member.train_epoch(1)
    assert torch.equal(torch.get_rng_state(), state)


class _Stream:
    def wait_stream(self, other: object) -> None:
        pass


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stand in for CUDA's graphs by running the step again; return the sizes that are recorded."""
    recorded: list[int] = []

    def record(steps: GraphedSteps, size: int) -> Any:
        recorded.append(size)
        return SimpleNamespace(replay=lambda: steps._run(size))

    monkeypatch.setattr(GraphedSteps, "_record", record)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", _Stream)
    return recorded


def test_each_size_of_batch_is_run_once_then_recorded_and_from_then_on_replayed(
    digits: TrainingData, fake_cuda: list[int]
) -> None:
    trial = configure(epochs=3)
    member, plain = (Member(trial, digits, 0, graphed=graphed) for graphed in (True, False))
    steps: Any = member._graphed
    steps._stream = _Stream()
    training, _ = digits.split(0)
    last = len(training) % 48
    for epoch, recorded in ((1, [48]), (2, [48, last]), (3, [48, last])):
        assert member.train_epoch(epoch) == plain.train_epoch(epoch)
        assert fake_cuda == recorded


def test_graphs_need_the_setting_a_gpu_and_images_there(digits: TrainingData) -> None:
    wanted = configure(cuda_graphs=True)
    gpu = torch.device("cuda", 0)
    there: Any = SimpleNamespace(device=gpu, train_images=SimpleNamespace(device=gpu))
    on_the_host: Any = SimpleNamespace(device=gpu, train_images=digits.train_images)
    assert can_graph(wanted, there)
    assert not can_graph(configure(), there)
    assert not can_graph(wanted, digits)
    assert not can_graph(wanted, on_the_host)
