"""Which device trains: the one that was asked for, whatever else torch can see."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from small_studies import run_study

from searchlab.engine import serial
from searchlab.engine.devices import choose_device
from searchlab.engine.ray import node_report
from searchlab.training.failures import DeviceLostError
from searchlab.training.images import TrainingData


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
def test_the_serial_engine_takes_no_gpu_where_none_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: Any, expected: str
) -> None:
    wanted: list[str] = []

    def on_the_cpu(images: Any, folds: Any, device: torch.device) -> TrainingData:
        wanted.append(device.type)
        return TrainingData.from_images(images, folds, torch.device("cpu"))

    class Data:
        from_images = staticmethod(on_the_cpu)

    monkeypatch.setattr(serial, "choose_device", choose_among_gpus)
    monkeypatch.setattr(serial, "TrainingData", Data)
    run_study(
        tmp_path, "serial",
        search={"trials": 1}, training={"epochs": 1}, baselines={"architectures": []},
        confirm={"top": 0}, resources={"gpus": gpus},
    )  # fmt: skip
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
