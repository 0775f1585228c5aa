"""Drivers killed: nothing finished is lost, little is trained twice, and no figure changes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from epoch_log import EpochLog
from optuna.trial import FrozenTrial
from small_studies import describe_trials, read_trials, resume, run_study, write_study

from searchlab.records import trial_record as attr
from searchlab.records.run_folder import RunFolder
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.reading import read_study
from searchlab.report.verdict import reach_verdict

DRIVER = Path(__file__).with_name("signalling_driver.py")
NUM_KILLS = 4
NUM_WORKERS = 2
NUM_TRIALS = 16  # two baselines, twelve search trials, two finalists


def drive(folder: Path, command: str, moment: str = "ask:100000", engine: str = "tune") -> int:
    target = folder / "tiny.yaml" if command == "run" else "tiny"
    options = ["--runs-dir", folder / "runs", "--engine", engine]
    arguments = ["SIGKILL", moment, "study", command, target, *options]
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


# A baseline, two search trials, a finalist, and two confirmations of each rival.
CONFIRMED: dict[str, Any] = {
    "search": {"trials": 2, "pruner": "none"},
    "training": {"epochs": 3},
    "baselines": {"schemes": ["DT"]},
    "confirm": {"top": 1, "repeats": 2},
    "resources": {"checkpoint_seconds": 0},
}
NUM_BEFORE = 4  # trials before the first confirmation


def describe_figures(run: RunFolder) -> dict[str, Any]:
    """All that a study found: its trials' figures, the models' files and the verdict."""
    reading = read_study(run, None)
    board = build_leaderboard(reading.records, reading.spec)
    verdict = reach_verdict(board, reading.records, reading.spec)
    curves = [dict(trial.system_attrs[attr.CURVES]) for trial in reading.trials]
    for of_trial in curves:
        del of_trial["seconds"]
    return {
        "trials": describe_trials(run),
        "curves": curves,
        "answers": [trial.system_attrs.get(attr.ANSWERS) for trial in reading.trials],
        "models": {path.name: path.read_bytes() for path in run.models.iterdir()},
        "verdict": (verdict.text, verdict.details),
    }


@pytest.fixture(scope="module")
def confirmed_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A study with confirmations that nobody killed."""
    return run_study(tmp_path_factory.mktemp("confirmed"), "serial", **CONFIRMED)


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "the first confirmation is asked for",
        "the first epoch",
        "the first end",
        "the last epoch",
    ],
)
def test_a_study_killed_after_a_moment_of_its_confirmations_ends_with_the_same_figures(
    tmp_path: Path, confirmed_run: RunFolder, moment: str
) -> None:
    epochs = [trial.user_attrs["epochs"] for trial in read_trials(confirmed_run)]
    assert epochs[NUM_BEFORE] > 1, "the case needs a confirmation cut in the middle"
    kill = {
        "the first confirmation is asked for": f"ask:{NUM_BEFORE + 1}",
        "the first epoch": f"report:{sum(epochs[:NUM_BEFORE]) + 1}",
        "the first end": f"tell:{NUM_BEFORE + 1}",
        "the last epoch": f"report:{sum(epochs)}",
    }[moment]
    write_study(tmp_path, **CONFIRMED)
    assert drive(tmp_path, "run", kill, engine="serial") == -signal.SIGKILL
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert read_trials(run)[-1].user_attrs["role"] == "confirmation"
    resume(run)
    assert describe_figures(run) == describe_figures(confirmed_run)
