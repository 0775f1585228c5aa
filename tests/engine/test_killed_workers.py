"""Workers that really die under Ray Tune: killed as a process, and by Ray for the host's memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial
from small_studies import read_trials, run_study, write_study

from searchlab.records.run_folder import RunFolder

STARVED_DRIVER = Path(__file__).with_name("starved_driver.py")

# Workers load it from its source; it writes down in how many parts each epoch was trained.
PLUGIN = """
import os, signal, time
from pathlib import Path
from searchlab.training.cohort import Cohort

FOLDER = Path({folder!r})
DEATHS = {deaths!r}  # how often the worker of a trial is to die at the end of its second epoch


def die_by_signal():
    os.kill(os.getpid(), signal.SIGKILL)


def die_for_memory():
    (FOLDER / "hungry.new").write_text(str(os.getpid()))
    (FOLDER / "hungry.new").rename(FOLDER / "hungry")
    time.sleep(60)
    raise RuntimeError("not killed")


if not hasattr(Cohort, "safe_run_epoch"):
    Cohort.safe_run_epoch = Cohort.run_epoch

    def run_epoch(cohort):
        result = cohort.safe_run_epoch()
        with (FOLDER / "epochs.log").open("a") as log:
            log.write(f"{{result.number}} {{result.epoch}} {{cohort.batch_split}}\\n")
        for death in range(DEATHS.get(result.number, 0) if result.epoch == 2 else 0):
            try:
                (FOLDER / f"{{result.number}}-{{death}}").touch(exist_ok=False)
            except FileExistsError:
                continue
            {how}()
        return result

    Cohort.run_epoch = run_epoch
"""
STUDY: dict[str, Any] = {
    "resources": {"workers": 1, "checkpoint_seconds": 0},
    "search": {"trials": 4, "pruner": "none"},
    "training": {"epochs": 3},
    "baselines": {"architectures": []},
    "confirm": {"top": 0},
}


def write_plugin(folder: Path, how: str, deaths: dict[int, int]) -> list[str]:
    plugin = folder / "deadly_plugin.py"
    plugin.write_text(PLUGIN.format(folder=os.fspath(folder), deaths=deaths, how=how))
    return [os.fspath(plugin)]


def splits_of(folder: Path, number: int) -> list[tuple[int, int]]:
    """Every epoch trained of a trial, as (epoch, parts of a batch)."""
    lines = [map(int, line.split()) for line in (folder / "epochs.log").read_text().splitlines()]
    return [(epoch, split) for trial, epoch, split in lines if trial == number]


def describe(trial: FrozenTrial) -> tuple[str, Any]:
    return trial.state.name, trial.user_attrs.get("stop_reason")


@pytest.mark.slow
def test_a_worker_that_was_killed_is_said_to_have_died_and_its_trial_goes_on_whole(
    tmp_path: Path, local_ray: None, caplog: pytest.LogCaptureFixture
) -> None:
    plugins = write_plugin(tmp_path, "die_by_signal", {1: 1})
    run = run_study(tmp_path, "tune", **STUDY, plugins=plugins)
    trials = read_trials(run)
    assert [describe(trial) for trial in trials] == [("COMPLETE", None)] * 4
    assert {trial.user_attrs["node"] for trial in trials} == {"127.0.0.1"}, "Ray was there before"
    assert splits_of(tmp_path, 1) == [(1, 1), (2, 1), (2, 1), (3, 1)]
    assert [line for line in caplog.messages if "its " in line] == ["trial 1: its worker died"]


def run_starved(folder: Path) -> subprocess.CompletedProcess[str]:
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-Ur", "--mount"]
    try:
        possible = subprocess.run([*namespace, "mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup"])
    except FileNotFoundError:
        pytest.skip("needs unshare and mount")
    if possible.returncode:
        pytest.skip("cannot mount here")
    driver = [sys.executable, STARVED_DRIVER, folder, "study", "run", folder / "tiny.yaml"]
    command = [*namespace, *map(str, driver), "--runs-dir", str(folder / "runs")]
    return subprocess.run(command, capture_output=True, text=True, timeout=400)


@pytest.mark.slow
def test_a_worker_killed_for_memory_has_its_trial_split_once_and_then_failed(
    tmp_path: Path,
) -> None:
    plugins = write_plugin(tmp_path, "die_for_memory", {1: 1, 2: 2})
    write_study(tmp_path, **STUDY, plugins=plugins)
    done = run_starved(tmp_path)
    assert done.returncode == 0, done.stderr
    trials = read_trials(RunFolder(tmp_path / "runs" / "tiny"))
    whole = ("COMPLETE", None)
    assert [describe(trial) for trial in trials] == [whole, whole, ("FAIL", "oom"), whole]
    assert splits_of(tmp_path, 0) == [(1, 1), (2, 1), (3, 1)]
    assert splits_of(tmp_path, 1) == [(1, 1), (2, 1), (2, 4), (3, 4)]
    assert splits_of(tmp_path, 2) == [(1, 1), (2, 1), (2, 4)]
    said = re.findall(r"#(\d) .*: its worker was killed because the host ran out", done.stderr)
    assert said == ["1", "2", "2"]
    assert "Traceback" not in done.stderr
    assert not any("node" in trial.user_attrs for trial in trials), "a Ray of the study's own"
