"""Drivers killed again and again: nothing finished is lost, and little is trained twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from epoch_log import EpochLog
from optuna.trial import FrozenTrial
from small_studies import read_trials, write_study

from searchlab.study.run_folder import RunFolder

DRIVER = Path(__file__).with_name("signalling_driver.py")
NUM_KILLS = 4
NUM_WORKERS = 2
NUM_TRIALS = 16  # two baselines, twelve search trials, two finalists


def drive(folder: Path, command: str, moment: str = "ask:100000") -> int:
    target = folder / "tiny.yaml" if command == "run" else "tiny"
    arguments = ["SIGKILL", moment, "study", command, target, "--runs-dir", folder / "runs"]
    process = subprocess.run(
        [sys.executable, str(DRIVER), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert process.returncode in (0, -signal.SIGKILL), process.stderr
    return process.returncode


def finished(run: RunFolder) -> dict[int, FrozenTrial]:
    return {trial.number: trial for trial in read_trials(run) if trial.state.is_finished()}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_four_kills_at_random_moments_lose_nothing_and_cost_a_checkpoint_interval_each(
    tmp_path: Path,
) -> None:
    log = EpochLog(tmp_path)
    write_study(
        tmp_path,
        resources={"workers": NUM_WORKERS, "checkpoint_seconds": 0},  # the interval is an epoch
        training={"epochs": 6},
        plugins=[str(log.plugin)],
    )
    run = RunFolder(tmp_path / "runs" / "tiny")
    draw = random.Random(20261121)
    before: dict[int, FrozenTrial] = {}
    for kill in range(NUM_KILLS):
        moment = f"{draw.choice(['ask', 'report', 'report', 'tell'])}:{draw.randint(2, 6)}"
        assert drive(tmp_path, "resume" if kill else "run", moment) == -signal.SIGKILL, moment
        ended = finished(run)
        assert {number: ended[number] for number in before} == before, "finished trials stay"
        before = ended
    assert drive(tmp_path, "resume") == 0

    trials = read_trials(run)
    assert [trial.number for trial in trials] == list(range(NUM_TRIALS))
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
    assert {n: t for n, t in finished(run).items() if n in before} == before
    epochs = log.read()
    wasted = len(epochs) - len(set(epochs))
    assert wasted <= NUM_KILLS * NUM_WORKERS * 1
    for trial in trials:
        trained = {epoch for number, epoch in epochs if number == trial.number}
        assert trained == set(range(1, trial.user_attrs["epochs"] + 1))
