"""A metric that comes in as an entry of the table and a function, and the first objective."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small_studies import NO_DATA, read_trials, write_study
from torch import Tensor

from searchlab.cli.plain_progress import PlainProgress
from searchlab.config import metrics as table
from searchlab.config.loading import load_study
from searchlab.config.metrics import PERCENT, Metric, get_metric, register_metric
from searchlab.engine.launch import RunOptions, begin_study
from searchlab.records.run_folder import RunFolder
from searchlab.report.board_table import print_leaderboard
from searchlab.report.json_output import leaderboard_data
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.reading import StudyReading, read_study
from searchlab.report.tables import describe_figures
from searchlab.report.verdict import reach_verdict
from searchlab.training import metrics as functions
from searchlab.training.metrics import Answers, measures_answers

SMALL: dict[str, Any] = {
    "search": {"pruner": "median", "trials": 4},
    "training": {"epochs": 3, "patience": 2},
    "validation": {"folds": 3, "search_folds": 1},
    "baselines": {"schemes": ["DT"]},
    "confirm": {"top": 1, "repeats": 0},
}


@pytest.fixture(scope="module")
def top2_accuracy() -> Iterator[str]:
    """All that a new metric takes; what it adds is gone again after the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_metrics", dict(table._metrics))
        patch.setattr(functions, "_of_answers", dict(functions._of_answers))
        register_metric(
            Metric(
                name="top2_accuracy",
                direction="maximize",
                label="top-2 accuracy",
                column="top 2",
                unit=PERCENT,
                note="share of images whose class is among the two likeliest",
            )
        )

        @measures_answers("top2_accuracy")
        def _measure(answers: Answers) -> Tensor:
            likeliest = answers.logits.topk(2).indices
            return (likeliest == answers.labels[:, None]).any(1).double().mean()

        yield "top2_accuracy"


def run_by(metric: str, folder: Path, progress: io.StringIO, **changes: Any) -> StudyReading:
    path = write_study(folder, objective={"metric": metric}, **{**SMALL, **changes})
    run = RunFolder(folder / "runs" / "tiny")
    options = RunOptions(data_dir=NO_DATA, engine="serial", callback=PlainProgress(progress))
    begin_study(load_study(path), run, options)
    return read_study(run, None)


def render(reading: StudyReading) -> str:
    board = build_leaderboard(reading.records, reading.spec, show_all=True)
    stream = io.StringIO()
    print_leaderboard(Console(file=stream, width=80), board, legend=True)
    return " ".join(stream.getvalue().split())


def to_json(reading: StudyReading) -> Any:
    board = build_leaderboard(reading.records, reading.spec, show_all=True)
    verdict = reach_verdict(board, reading.records, reading.spec)
    return json.loads(json.dumps(leaderboard_data(board, verdict), allow_nan=False))


def check_objective(metric: str, reading: StudyReading, progress: str) -> None:
    """The metric chooses epochs, prunes, confirms, and is what every report is about."""
    entry = get_metric(metric)
    for trial in read_trials(reading.run):
        curves = trial.system_attrs["searchlab:curves"][entry.curve_key]
        reported = [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)]
        assert reported == pytest.approx(curves[0], abs=1e-6)  # one search fold
        if trial.state.name == "COMPLETE":
            assert trial.value == max(reported)
            assert trial.user_attrs["figures"][metric] == trial.value
    data = to_json(reading)
    assert (data["metric"], data["metrics"]) == (metric, [metric])
    complete = [row for row in data["trials"] if row["state"] == "COMPLETE"]
    assert all(row[metric] == row["value"] for row in complete)
    [finalist] = [row for row in complete if row["role"] == "finalist"]
    assert finalist["value"] == max(row["value"] for row in complete if row["role"] == "search")
    assert 0 < finalist[f"test_{metric}"] <= 1
    assert 0 < finalist["test_accuracy"] <= 1
    assert data["verdict"]["outcome"] in ("better", "worse", "undecided")
    written = f"{100 * finalist[f'test_{metric}']:.2f}"
    text = render(reading)
    assert f"leaderboard ({entry.label} in %)" in text
    assert written in text
    assert f"test {written} %" in progress
    [row] = [
        row
        for row in build_leaderboard(reading.records, reading.spec).rows
        if row.role == "finalist"
    ]
    lines = describe_figures(row, reading.metrics)
    assert f"test {entry.label}: {written} %" in lines
    assert any(line.startswith(f"{entry.label} over 3 folds: ") for line in lines)


def test_a_new_metric_is_searched_and_reported(top2_accuracy: str, tmp_path: Path) -> None:
    progress = io.StringIO()
    reading = run_by(top2_accuracy, tmp_path, progress)
    check_objective(top2_accuracy, reading, progress.getvalue())


def test_a_new_metric_stands_beside_the_objective(top2_accuracy: str, tmp_path: Path) -> None:
    reading = run_by("accuracy", tmp_path, io.StringIO(), search={"trials": 1}, confirm={"top": 0})
    text = render(reading)
    assert "top 2 test top 2" in text
    assert "top 2 share of images whose class is among the two likeliest" in text
    for row in to_json(reading)["trials"]:
        assert row["accuracy"] < row[top2_accuracy] <= 1


def test_what_an_imbalanced_folder_needs_can_be_the_objective(tmp_path: Path) -> None:
    metric, progress = "balanced_accuracy", io.StringIO()
    check_objective(metric, run_by(metric, tmp_path, progress), progress.getvalue())
