"""The runs of a folder in optuna-dashboard: all that can be opened, and those that appear."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from driven_runs import drive_run

from searchlab.records.run_folder import RunFolder
from searchlab.report.dashboard import found_runs
from searchlab.report.dashboard.found_runs import FoundRuns


def drive(folder: Path, name: str, age: int) -> RunFolder:
    run = drive_run(folder, name, num_trials=1)
    os.utime(run.study_file, (age, age))
    return run


def test_a_run_that_cannot_be_opened_is_named_once_and_the_others_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_runs, "_FRESH_SECONDS", -1.0)
    drive(tmp_path, "good", 1000)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.yaml").write_text("name: broken\n")
    RunFolder(tmp_path / "empty").write({"name": "empty", "dataset": "digits"})
    told: list[str] = []
    found = FoundRuns(tmp_path, told.append)
    for _ in range(2):
        assert [run.name for run in found.list_runs()] == ["good"]
    assert len(told) == 2
    assert {line.partition(":")[0] for line in told} == {"broken", "empty"}
    assert all("\n" not in line for line in told)


def test_runs_keep_their_numbers_when_others_come_and_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_runs, "_FRESH_SECONDS", -1.0)
    older, _ = drive(tmp_path, "older", 1000), drive(tmp_path, "newer", 2000)
    found = FoundRuns(tmp_path, pytest.fail)
    assert {run.name: run.slot for run in found.list_runs()} == {"older": 0, "newer": 1}
    newest = drive(tmp_path, "newest", 3000)
    newest.begin()
    assert len(found.list_runs()) == 2, "its study is about to be made"
    newest.note_made()
    older.study_file.unlink()
    assert {run.name: run.slot for run in found.list_runs()} == {"newer": 1, "newest": 2}
