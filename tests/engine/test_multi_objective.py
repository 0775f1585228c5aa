"""Studies of several objectives from the file to the leaderboard, trained on the digits."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small_studies import NO_DATA, describe_trials, read_trials, resume, write_study

from searchlab.config.loading import load_study
from searchlab.config.trial import ModelConfig
from searchlab.engine.launch import RunOptions, begin_study
from searchlab.errors import InterruptedStudyError
from searchlab.models.build import count_multiply_adds
from searchlab.records.run_folder import RunFolder
from searchlab.report.board_table import print_leaderboard
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.reading import read_study
from searchlab.training.run import TrialRun

SMALL: dict[str, Any] = {
    "search": {"pruner": "none", "trials": 4},
    "training": {"epochs": 2},
    "baselines": {"schemes": ["DT"]},
    "confirm": {"top": 1, "repeats": 0},
}
ROBUST = (
    "objective=[{metric: accuracy}, {metric: robust_accuracy}]",
    "robustness={attack: fgsm, epsilon: 0.05}",
)
COSTS = (
    "objective=[{metric: loss}, {metric: parameters}, {metric: multiply_adds}, {metric: latency}]",
)


def run_with(folder: Path, overrides: tuple[str, ...]) -> RunFolder:
    run = RunFolder(folder / "runs" / "tiny")
    file = load_study(write_study(folder, **SMALL), overrides)
    begin_study(file, run, RunOptions(data_dir=NO_DATA, engine="serial"))
    return run


@pytest.fixture(scope="module")
def robust_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_with(tmp_path_factory.mktemp("robust"), ROBUST)


def test_accuracy_against_robust_accuracy(robust_run: RunFolder) -> None:
    trials = read_trials(robust_run)
    assert len(trials) == 1 + 4 + 1
    for trial in trials:
        accuracy, robust = trial.values
        assert 0 <= robust <= accuracy <= 1
        assert trial.intermediate_values == {}
        assert trial.user_attrs["robust_accuracy"] == robust
        has_test = trial.user_attrs["role"] != "search"
        assert ("test_robust_accuracy" in trial.user_attrs) == has_test
    assert trials[-1].values == trials[trials[-1].user_attrs["finalist_of"]].values


def test_the_finalist_is_of_the_front_and_the_leaderboard_marks_it(robust_run: RunFolder) -> None:
    reading = read_study(robust_run, None)
    board = build_leaderboard(reading.records, reading.spec, show_all=True)
    search = [row for row in board.rows if row.role == "search"]
    [finalist] = [row for row in board.rows if row.role == "finalist"]
    best = max(search, key=lambda row: row.value or 0.0)
    repeated = next(row for row in search if row.number == finalist.finalist_of)
    assert repeated.value == best.value
    assert any(row.on_front for row in board.rows)
    for row in board.rows:
        beaten = any(
            other.values != row.values
            and all(a >= b for a, b in zip(other.values, row.values, strict=True))
            for other in board.rows
        )
        assert row.on_front is not beaten
    stream = io.StringIO()
    print_leaderboard(Console(file=stream, width=80), board)
    assert "robust" in stream.getvalue()


def test_a_killed_study_of_two_objectives_ends_with_the_same_trials(
    robust_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TrialRun.step
    steps = iter(range(100))

    def step_until_stopped(self: TrialRun) -> Any:
        if next(steps) == 5:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(TrialRun, "step", step_until_stopped)
    with pytest.raises((KeyboardInterrupt, InterruptedStudyError)):
        run_with(tmp_path, ROBUST)
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert len(read_trials(run)) < 6
    resume(run)
    assert describe_trials(run) == describe_trials(robust_run)


def test_costs_are_counted_and_measured(tmp_path: Path) -> None:
    run = run_with(tmp_path, COSTS)
    trials = read_trials(run)
    widths = set()
    for trial in trials:
        loss, parameters, multiply_adds, latency = trial.values
        assert loss > 0
        assert parameters == trial.user_attrs["num_parameters"]
        assert multiply_adds == trial.user_attrs["multiply_adds"]
        assert 0 < latency == trial.user_attrs["latency_ms"]
        widths.add((parameters, multiply_adds))
    assert len(widths) > 1

    a2 = count_multiply_adds(ModelConfig(family="a2"), image_shape=(1, 8, 8), num_classes=10)
    assert trials[0].values[2] == a2
