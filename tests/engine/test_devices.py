"""Which device trains: the one that was asked for, whatever else torch can see."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch

from searchlab.engine import serial
from searchlab.engine.devices import choose_device
from searchlab.engine.ray import node_report
from searchlab.training.failures import DeviceLostError


@pytest.mark.parametrize(
    ("num_gpus", "is_available", "expected"),
    [(0, True, "cpu"), (0.25, True, "cuda"), (2, True, "cuda"), ("auto", True, "cuda"),
     (0, False, "cpu"), ("auto", False, "cpu")],
)  # fmt: skip
def test_the_device_is_that_which_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    num_gpus: float | Literal["auto"],
    is_available: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert choose_device(num_gpus).type == expected


def test_a_worker_whose_gpu_is_gone_does_not_go_on_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceLostError, match="torch finds no GPU"):
        choose_device(1)


def choose_among_gpus(asked: float | Literal["auto"]) -> torch.device:
    """Choose as on a machine with a GPU, which the rest of the run is not to look for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        return choose_device(asked)


@pytest.mark.parametrize(("gpus", "expected"), [(0, "cpu"), ("auto", "cuda"), (1, "cuda")])
def test_the_serial_engine_takes_no_gpu_if_none_is_wanted(
    monkeypatch: pytest.MonkeyPatch, gpus: Any, expected: str
) -> None:
    wanted: list[str] = []

    class Data:
        """Notes the device that it is to be on."""

        @staticmethod
        def from_images(images: Any, folds: Any, device: torch.device) -> None:
            wanted.append(device.type)

    monkeypatch.setattr(serial, "choose_device", choose_among_gpus)
    monkeypatch.setattr(serial, "TrainingData", Data)
    spec = SimpleNamespace(resources=SimpleNamespace(cpus=1, gpus=gpus))
    session: Any = SimpleNamespace(
        ledger=SimpleNamespace(ask=lambda: None, is_waiting=False),
        prepared=SimpleNamespace(spec=spec, images=None, folds=None),
        stop=SimpleNamespace(is_made=False),
    )
    serial.run_serially(session)
    assert wanted == [expected]


@pytest.mark.parametrize(("visible", "seen"), [("", None), (None, None), ("1,2", "1,2")])
def test_a_nodes_devices_are_those_that_its_workers_may_see(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, seen: str | None
) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    given: dict[str, str] = {}

    def run(command: list[str], **options: Any) -> Any:
        given.update(options["env"])
        return subprocess.CompletedProcess(command, 0, stdout="2\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert node_report.count_cuda_devices() == 2
    assert given.get("CUDA_VISIBLE_DEVICES") == seen
    assert "PATH" in given
