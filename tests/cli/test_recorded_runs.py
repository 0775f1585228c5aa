"""Run folders recorded by searchlab as it was on 2026-11-21 (0.1.0, before its figures moved).

``finished`` ended with five objectives; ``interrupted`` lost two drivers, the second while a
finalist of the then searched baseline a2 was training, and keeps that trial's checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import run_searchlab, unpack_recorded_runs

from searchlab.data import load_dataset
from searchlab.data.folds import stratified_folds
from searchlab.training.images import TrainingData
from searchlab.training.saved_models import load_model


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_recorded_runs(tmp_path_factory.mktemp("recorded"))


def searchlab(*arguments: str | Path) -> str:
    outcome = run_searchlab(*arguments)
    assert outcome.code == 0, outcome.err
    return outcome.out


def read(command: str, run: Path, *options: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(searchlab("study", command, run, "--json", *options))
    return data


def test_a_recorded_study_still_has_its_figures(runs: Path) -> None:
    board = read("leaderboard", runs / "finished")
    first, *_ = board["trials"]
    assert (first["number"], first["label"], first["role"]) == (8, "a2/DT", "finalist")
    assert first["robust_accuracy"] == pytest.approx(0.4447, abs=5e-5)
    assert first["test_accuracy"] is not None
    assert len(first["fold_values"]) == 3
    by_number = {trial["number"]: trial for trial in board["trials"]}
    assert by_number[5]["values"][1::3] == [610, 592], "parameters and multiply-adds of #5"
    assert (board["verdict"]["challenger"], board["verdict"]["incumbent"]) == (8, 1)
    [comparison] = board["comparisons"]
    assert comparison["difference"] == pytest.approx(-0.0063, abs=5e-5)
    assert (comparison["outcome"], comparison["p_unequal"]) == (
        "undecided",
        pytest.approx(0.504, abs=5e-4),
    )


def test_a_recorded_study_of_five_objectives_has_a_report(runs: Path, tmp_path: Path) -> None:
    searchlab("study", "report", runs / "finished", "--to", tmp_path / "report.html")
    assert "the first 3 of 5 objectives" in (tmp_path / "report.html").read_text()


def test_a_recorded_study_still_has_its_best_and_its_status(runs: Path) -> None:
    assert read("best", runs / "finished")["trial"]["number"] == 8
    status = read("status", runs / "finished")
    assert status["state"] == "finished"
    assert status["roles"]["search"]["complete"] == 6


def test_recorded_models_answer_as_they_did_when_they_were_recorded(runs: Path) -> None:
    images = load_dataset("digits", Path("unused"))
    digits = TrainingData.from_images(
        images, stratified_folds(images.train_labels, num_folds=3, seed=3), torch.device("cpu")
    )
    recorded = {
        trial["number"]: trial["test_accuracy"]
        for trial in read("leaderboard", runs / "finished")["trials"]
    }
    models = sorted((runs / "finished/artifacts/models").glob("*.safetensors"))
    assert len(models) == 4
    for path in models:
        saved = load_model(path, digits)
        right = saved.logits(digits).argmax(1) == digits.test_labels
        assert float(right.double().mean()) == recorded[saved.config.number]


def test_a_recorded_study_can_still_be_examined_and_exported(runs: Path, tmp_path: Path) -> None:
    searchlab("doctor", runs / "finished")
    searchlab("study", "export", runs / "finished", tmp_path / "finished.zip")
    searchlab("study", "import", tmp_path / "finished.zip", "--runs-dir", tmp_path)
    again = read("leaderboard", tmp_path / "finished")
    assert again["trials"] == read("leaderboard", runs / "finished")["trials"]


@pytest.mark.slow
def test_a_recorded_study_that_was_interrupted_is_resumed(runs: Path) -> None:
    run = runs / "interrupted"
    status = read("status", run)
    assert (status["state"], status["roles"]["finalist"]["running"]) == ("interrupted", 1)
    before = read("leaderboard", run)["trials"]
    searchlab("study", "resume", run, "--engine", "serial", "--quiet")
    status = read("status", run)
    assert status["state"] == "finished"
    assert status["roles"]["finalist"]["complete"] == 2
    after = {trial["number"]: trial for trial in read("leaderboard", run, "--all")["trials"]}
    assert after[10]["label"] == "a2/DT"
    assert after[10]["epochs"] == 40
    ended = [trial for trial in before if trial["state"] == "COMPLETE"]
    figures = ("value", "fold_values", "test_accuracy", "params")
    for trial in ended:
        assert [after[trial["number"]][name] for name in figures] == [
            trial[name] for name in figures
        ], "finished trials stay as they are"
