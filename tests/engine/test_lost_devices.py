"""A GPU that breaks: its process ends, and the trial goes on in another."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_studies import read_trials, resume, run_study

from searchlab.engine.ray.worker import TrialActor
from searchlab.engine.ray.worker_deaths import describe_death
from searchlab.errors import InfrastructureError
from searchlab.records.run_folder import RunFolder
from searchlab.training import memory
from searchlab.training.cohort import Cohort
from searchlab.training.failures import DeviceLostError

WORDS = "CUDA error: an illegal memory access was encountered"

# The first process to come to the second epoch of trial 0 never trains anything again.
PLUGIN = """
import os
from pathlib import Path
import torch
from searchlab.training.cohort import Cohort

if not hasattr(Cohort, "sound_run_epoch"):
    Cohort.sound_run_epoch = Cohort.run_epoch
    broken = []

    def run_epoch(cohort):
        marker = Path({marker!r})
        if not marker.exists() and cohort.config.number == 0 and cohort.epoch == 1:
            marker.write_text(str(os.getpid()))
            broken.append(True)
        if broken:
            raise torch.AcceleratorError({words!r})
        return cohort.sound_run_epoch()

    Cohort.run_epoch = run_epoch
"""

SMALL: dict[str, Any] = {
    "search": {"trials": 3},
    "training": {"epochs": 3},
    "baselines": {"architectures": []},
    "confirm": {"top": 0},
    "resources": {"checkpoint_seconds": 0},
}


def is_running(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


@pytest.mark.slow
def test_a_trial_whose_gpu_broke_completes_in_another_process_and_so_do_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    local_ray: None,
) -> None:  # fmt: skip
    marker = tmp_path / "broken"
    plugin = tmp_path / "broken_device.py"
    plugin.write_text(PLUGIN.format(marker=str(marker), words=WORDS))
    # The plugin patches this process as well.
    monkeypatch.setattr(Cohort, "run_epoch", Cohort.run_epoch)
    run = run_study(tmp_path, "tune", plugins=[str(plugin)], **SMALL)
    trials = read_trials(run)
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3
    counts = [trial.system_attrs.get("searchlab:interruptions", {}) for trial in trials]
    assert [count.get("worker_lost", 0) for count in counts] == [1, 0, 0]
    assert counts[0]["rerun_epochs"] == 0, "it went on from its checkpoint"
    assert f"trial 0: its GPU failed (AcceleratorError: {WORDS})" in caplog.messages
    assert not is_running(int(marker.read_text()))


def test_a_worker_raises_of_a_lost_gpu_and_ends_its_process_when_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)

    def step() -> Any:
        raise torch.AcceleratorError(WORDS)

    actor = make_actor(SimpleNamespace(step=step))
    with pytest.raises(DeviceLostError, match="AcceleratorError: CUDA error: an illegal"):
        actor.step()
    actor.cleanup()
    assert ended == [1]


def test_a_worker_whose_trial_failed_otherwise_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)

    def step() -> Any:
        raise ValueError("its own")

    actor = make_actor(SimpleNamespace(step=step))
    assert actor.step() == {"error": "ValueError: its own", "kind": "error", "done": True}
    actor.cleanup()
    assert ended == []


@pytest.mark.parametrize(("device", "is_freed"), [("cuda", True), ("cpu", False)])
def test_a_trials_end_frees_the_memory_of_a_gpu_for_the_other_workers(
    device: str, is_freed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise ValueError("its own")

    done = SimpleNamespace(done=True, to_dict=dict)
    for step in (lambda: done, fail):
        freed: list[bool] = []
        monkeypatch.setattr(memory, "free_memory", lambda freed=freed: freed.append(True))
        actor = make_actor(SimpleNamespace(step=step))
        actor._data = SimpleNamespace(device=torch.device(device))
        assert actor.step()["done"]
        assert freed == [True] * is_freed
        actor.reset_config({"trial": "{}"})  # a trial that was pruned ends like this
        assert freed == [True] * 2 * is_freed


def make_actor(run: Any) -> TrialActor:
    actor = TrialActor.__new__(TrialActor)  # Tune's own part needs its files
    actor.setup({"trial": "{}"}, shared={})
    actor._run = run
    return actor


@pytest.mark.parametrize(
    ("death", "what"),
    [
        (f"ray.exceptions.RayTaskError(DeviceLostError): ray::TrialActor.train()\n  File x\n"
         f"searchlab.training.failures.DeviceLostError: AcceleratorError: {WORDS}\n",
         f"its GPU failed (AcceleratorError: {WORDS})"),
        ("searchlab.training.failures.DeviceLostError: DeviceLostError: torch finds no GPU",
         "its GPU failed (torch finds no GPU)"),
        ("The actor died unexpectedly", "its worker died"),
    ],
)  # fmt: skip
def test_the_gpu_is_named_as_the_cause(death: str, what: str) -> None:
    assert describe_death(death) == what


def test_the_serial_engine_stops_at_a_broken_gpu_and_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_epoch(cohort: Cohort) -> Any:
        raise torch.AcceleratorError(WORDS)

    with monkeypatch.context() as patch:
        patch.setattr(Cohort, "run_epoch", run_epoch)
        with pytest.raises(InfrastructureError, match="GPU failed under trial 0: Accel") as caught:
            run_study(tmp_path, "serial", **SMALL)
    assert caught.value.exit_code == 3
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert [trial.state.name for trial in read_trials(run)] == ["RUNNING"]
    resume(run)
    assert [trial.state.name for trial in read_trials(run)] == ["COMPLETE"] * 3
