"""What a probe says of a configuration's memory and speed."""

from __future__ import annotations

import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from trial_configs import load_digits, make_trial

from searchlab.config.attacks import AttackSpec
from searchlab.config.trial import ModelConfig, TrialConfig
from searchlab.training import member as member_module
from searchlab.training import memory_check as probe_module
from searchlab.training.graphed_steps import GraphedSteps, RecordingError
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.memory_check import ProbeResult, probe_training
from searchlab.training.metrics import count_parameters

WIDE = ModelConfig(family="cnn", parameters={"width": 64})


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits()


def configure(**changes: Any) -> TrialConfig:
    return make_trial(**{"model": WIDE, **changes})


def test_a_probe_says_what_a_member_takes(digits: TrainingData) -> None:
    trial = configure()
    result = probe_training(trial, digits)
    member = Member(trial, digits, 0)
    assert result.num_parameters == count_parameters(member.model)
    # Weights, gradients, two moments of Adam; its steps beside them.
    steps = 4 * len(list(member.model.parameters()))
    assert result.bytes_per_member == 4 * 4 * result.num_parameters + steps
    assert result.images_per_second > 0
    assert result.peak_bytes > result.bytes_per_member
    assert result.cohort_bytes(1) == result.peak_bytes
    assert result.cohort_bytes(4) == result.peak_bytes + 3 * result.bytes_per_member


def test_a_probe_on_a_gpu_trains_all_members_of_the_trial(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        probe_module, "_PeakMemory", lambda _: SimpleNamespace(measure=lambda: 1000)
    )
    monkeypatch.setattr(probe_module, "_trains_together", lambda _: True)
    trained: list[int | None] = []

    def note(member: Member, epoch: int, *, most_batches: int | None = None) -> dict[str, float]:
        trained.append(member.fold)
        return {}

    monkeypatch.setattr(Member, "train_epoch", note)
    result = probe_training(configure(), digits)
    assert trained == [0, 0, 1, None, 0]  # the first loads kernels, the last is timed
    assert result.num_members == 3
    assert result.cohort_bytes(3) == 1000
    assert result.cohort_bytes(5) == 1000 + 2 * result.bytes_per_member


def test_a_probe_goes_on_without_graphs_and_without_what_they_took(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[weakref.ref[GraphedSteps]] = []
    held: list[GraphedSteps | None] = []

    def fail(steps: GraphedSteps, size: int) -> None:
        failed.append(weakref.ref(steps))
        raise RecordingError("operation not permitted when stream is capturing")

    def load_kernels(*_: Any) -> None:
        held.extend(one() for one in failed)

    monkeypatch.setattr(probe_module, "can_graph", lambda *_: True)
    monkeypatch.setattr(probe_module, "_load_kernels", load_kernels)
    monkeypatch.setattr(GraphedSteps, "step", fail)
    assert probe_training(configure(), digits).images_per_second > 0
    assert held == [None]


def test_a_probe_in_parts_trains_on_parts_and_takes_less(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = configure(batch_size=512)
    whole = probe_training(trial, digits)
    sizes: list[int] = []
    original = member_module.predict

    def note(model: Any, inputs: Any, *more: Any) -> Any:
        if model.training:
            sizes.append(len(inputs))
        return original(model, inputs, *more)

    monkeypatch.setattr(member_module, "predict", note)
    parts = probe_training(trial, digits, batch_split=4)
    assert max(sizes) == 128
    assert (whole.batch_split, parts.batch_split) == (1, 4)
    assert parts.peak_bytes < whole.peak_bytes
    assert parts.bytes_per_member == whole.bytes_per_member


def test_frozen_weights_and_sgd_keep_less(digits: TrainingData) -> None:
    def kept(**changes: Any) -> int:
        model = ModelConfig(family="a2", scheme=changes.pop("scheme", "DT"))
        trial = configure(model=model, **changes)
        return probe_training(trial, digits, num_batches=1).bytes_per_member

    all_trained = kept()
    assert kept(optimizer="sgd") < kept(optimizer="sgd", momentum=0.9) < all_trained
    assert kept(scheme="HF") < all_trained


@pytest.mark.slow
def test_a_bigger_batch_takes_more_memory_whatever_was_probed_before(digits: TrainingData) -> None:
    sizes = (32, 512, 32, 512)
    few, many, few_again, many_again = (
        probe_training(configure(batch_size=size), digits).peak_bytes for size in sizes
    )
    assert max(few, few_again) < min(many, many_again)


def test_a_probe_changes_and_writes_nothing(
    digits: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images, draws = digits.train_images.clone(), torch.get_rng_state()
    probe_training(configure(adversarial="fgsm", robustness=AttackSpec()), digits)
    assert torch.equal(digits.train_images, images)
    assert torch.equal(torch.get_rng_state(), draws)
    assert not list(tmp_path.iterdir())


def test_only_the_batches_asked_for_are_timed(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    train_epoch = Member.train_epoch

    def note(member: Member, epoch: int, *, most_batches: int | None = None) -> tuple[float, float]:
        assert most_batches is not None
        asked.append((member._settings.batch_size, most_batches))
        return train_epoch(member, epoch, most_batches=most_batches)

    monkeypatch.setattr(Member, "train_epoch", note)
    probe_training(configure(batch_size=100), digits, num_batches=5)
    assert asked == [(2, 1), (100, 1), (100, 5)]


def test_more_batches_than_there_are_count_the_images_that_there_are(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "_time_batches", lambda member, _: 2.0)
    training, _ = digits.split(0)
    result = probe_training(configure(batch_size=100), digits, num_batches=1000)
    assert result.images_per_second == len(training) / 2
    assert probe_training(configure(batch_size=100), digits).images_per_second == 100


def test_a_diverging_configuration_is_probed_all_the_same(digits: TrainingData) -> None:
    result = probe_training(configure(optimizer="sgd", lr=1e30), digits)
    assert result.images_per_second > 0


def test_memory_that_runs_out_is_the_callers(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(member_module, "predict", fail)
    with pytest.raises(torch.OutOfMemoryError):
        probe_training(configure(), digits)


def test_without_leave_to_reset_the_peak_growth_beyond_it_is_seen(
    digits: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "_reset_peak", lambda: False)
    heights = iter((1000, 5000))
    monkeypatch.setattr(probe_module, "_highest_ever", lambda: next(heights))
    result = probe_training(configure(), digits)
    assert isinstance(result, ProbeResult)
    assert result.peak_bytes == 4000
