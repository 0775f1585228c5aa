"""What a process that trains is set to, and that it is given back."""

from __future__ import annotations

import dataclasses
import math
import os
from types import SimpleNamespace

import pytest
import torch

from searchlab.training.machine import describe_machine
from searchlab.training.process import limit_device_memory, most_image_bytes, repeatable

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def settings() -> tuple[object, ...]:
    return (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )


@pytest.fixture(autouse=True)
def _without_a_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)


def test_on_a_gpu_kernels_repeat_multiply_in_tf32_and_memory_is_not_filled() -> None:
    before = settings()
    with repeatable(1, GPU):
        assert settings() == (1, True, True, True, False, True, True, False, ":4096:8")
    assert settings() == before


def test_on_the_cpu_of_a_machine_with_a_gpu_the_slow_switch_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    before = settings()
    with repeatable(1, CPU):
        assert settings()[1:5] == (False, False, True, False)
    assert settings() == before


def test_a_gpus_machine_says_whether_it_multiplies_in_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A GPU")
    with repeatable(1, GPU):
        machine = describe_machine(GPU)
        assert machine.tf32
        assert str(machine).startswith("A GPU in TF32 with 1 thread")
        torch.backends.cuda.matmul.allow_tf32 = False
        assert describe_machine(GPU) == dataclasses.replace(machine, tf32=False)
        assert not describe_machine(CPU).tf32


@pytest.mark.parametrize(
    ("total", "share", "fraction"),
    [(100e9, 0.25, 0.245), (100e9, 1, None), (1e9, 0.25, 0.125), (100e9, 0.1, 0.095)],
)
def test_a_worker_is_kept_to_its_share_of_a_gpu_with_cudas_own_memory(
    total: float, share: float, fraction: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited: list[tuple[float, int]] = []
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=total)
    )
    # What torch asks of CUDA, so that its own checks of the arguments take part.
    monkeypatch.setattr(torch.cuda.memory, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(
        torch._C, "_cuda_setMemoryFraction", lambda *given: limited.append(given), raising=False
    )
    limit_device_memory(GPU, share)
    assert limited == ([] if fraction is None else [(pytest.approx(fraction), 0)])
    assert most_image_bytes(GPU, share) == pytest.approx(share * total / 2)


def test_the_cpu_is_not_shared_by_bytes() -> None:
    limit_device_memory(CPU, 0)
    assert most_image_bytes(CPU, 0) == math.inf


def test_a_workspace_of_the_users_own_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with repeatable(1, CPU):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_settings_are_given_back_after_an_error() -> None:
    before = settings()
    with pytest.raises(RuntimeError), repeatable(1, CPU):
        raise RuntimeError
    assert settings() == before
