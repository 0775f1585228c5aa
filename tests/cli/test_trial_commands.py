"""searchlab trial show and rerun, on one tiny study of this process."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Outcome, assert_refused, run_searchlab, unpack_recorded_runs
from safetensors.torch import load_file, safe_open, save_file
from small_studies import read_trials, run_study

from searchlab.records.run_folder import RunFolder
from searchlab.training.checkpoint import model_path

CHANGES: dict[str, Any] = {
    "search": {"trials": 4, "pruner": "none"},
    "training": {"epochs": 3},
    "baselines": {"architectures": ["a2"], "schemes": ["DT"]},
    "confirm": {"top": 1, "repeats": 2},
}
BASELINE, SEARCHED, FINALIST, CONFIRMATION = 0, 1, 5, 6


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(tmp_path_factory.mktemp("trial"), "serial", **CHANGES).path


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(recorded, tmp_path / "tiny"))


def change(run: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(run / "study.db")) as database, database:
        assert database.execute(statement, values).rowcount == 1


def change_attribute(run: Path, number: int, key: str, edit: Callable[[Any], Any]) -> None:
    with closing(sqlite3.connect(run / "study.db")) as database, database:
        [(text,)] = database.execute(
            "SELECT value_json FROM trial_system_attributes JOIN trials USING (trial_id) "
            "WHERE number = ? AND key = ?",
            (number, key),
        )
        database.execute(
            "UPDATE trial_system_attributes SET value_json = ? WHERE key = ? AND trial_id = "
            "(SELECT trial_id FROM trials WHERE number = ?)",
            (json.dumps(edit(json.loads(text))), key, number),
        )


def rerun(run: Path, number: int, *options: str) -> Outcome:
    return run_searchlab("trial", "rerun", run, number, "--quiet", *options)


def test_show_without_a_number_shows_the_winner(recorded: Path) -> None:
    outcome = run_searchlab("trial", "show", recorded)
    assert outcome.code == 0, outcome
    best = json.loads(run_searchlab("study", "best", recorded, "--json").out)["trial"]
    assert outcome.out.startswith(f"#{best['number']} ")
    assert f"({best['role']}): complete, rank 1\n" in outcome.out


def test_show_has_configuration_curves_origin_and_cost_in_80_columns(recorded: Path) -> None:
    outcome = run_searchlab("trial", "show", recorded, SEARCHED)
    assert outcome.code == 0, outcome
    for piece in ("a reference point of the search", "batch_size", "epochs", "3 epochs, ", "train",
                  "loss", "trained on cpu"):  # fmt: skip
        assert piece in outcome.out
    assert any(block in outcome.out for block in "▁█")
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_show_says_how_each_kind_of_trial_was_found(recorded: Path) -> None:
    def found(number: int) -> str:
        data = json.loads(run_searchlab("trial", "show", recorded, number, "--json").out)
        return str(data["found"])

    assert found(BASELINE) == "a baseline, fixed by the study before its search"
    assert found(4) == "drawn by tpe after 3 search trials had ended"
    source = read_trials(RunFolder(recorded))[FINALIST].user_attrs["finalist_of"]
    assert found(FINALIST) == f"search trial #{source}, trained on all folds"
    assert found(CONFIRMATION).startswith(f"repeat 1 of trial #{FINALIST}, trained again on all")


def test_show_as_json_has_the_whole_record(recorded: Path) -> None:
    data = json.loads(run_searchlab("trial", "show", recorded, FINALIST, "--json").out)
    assert (data["number"], data["role"], data["settings"]["epochs"]) == (FINALIST, "finalist", 3)
    assert data["model"]["family"] in ("cnn", "fcn")
    assert [len(curve) for curve in data["curves"]["validation_accuracy"]] == [3, 3]
    [machine] = data["machines"]
    assert machine["num_threads"] == 1
    assert machine["device"].startswith(("cpu ", "NVIDIA"))


@pytest.mark.parametrize("number", [BASELINE, SEARCHED, FINALIST, CONFIRMATION])
def test_a_trial_trained_again_is_the_same_to_the_bit(recorded: Path, number: int) -> None:
    outcome = rerun(recorded, number, "--json")
    assert outcome.code == 0, outcome
    data = json.loads(outcome.out)
    assert (data["is_same"], data["difference"], data["remarks"]) == (True, None, [])
    assert 1 <= data["num_epochs"] <= 3
    assert data["compared_rounded"] == []
    assert ("train_loss" in data["compared_exactly"]) == (number != CONFIRMATION)
    assert ("full_train_loss" in data["compared_exactly"]) == (number != SEARCHED)
    assert ("the saved weights" in data["compared_exactly"]) == (number != SEARCHED)


def test_a_rerun_says_what_it_compared(recorded: Path) -> None:
    outcome = run_searchlab("trial", "rerun", recorded, SEARCHED)
    assert outcome.code == 0, outcome
    assert f"#{SEARCHED} cnn is the same in each of 3 epochs of 1 model" in outcome.out
    assert "compared to the bit: train_loss, " in outcome.out
    assert "the objective's means, the figures of its end" in outcome.out
    assert "epoch 3/3" in outcome.err


def test_a_curve_that_differs_is_named_by_fold_epoch_and_values(run: Path) -> None:
    def add(curves: dict[str, Any]) -> dict[str, Any]:
        curves["validation_loss"][1][1] = 2.5
        return curves

    change_attribute(run, FINALIST, "searchlab:curves", add)
    outcome = rerun(run, FINALIST)
    assert outcome.code == 1, outcome
    assert "differs: validation_loss of fold 1 in epoch 2 is " in outcome.out
    assert "was 2.5" in outcome.out
    difference = json.loads(rerun(run, FINALIST, "--json").out)["difference"]
    assert (difference["fold"], difference["epoch"], difference["recorded"]) == (1, 2, 2.5)


def test_a_mean_that_differs_in_its_last_bit_is_found(run: Path) -> None:
    change(
        run,
        "UPDATE trial_intermediate_values SET intermediate_value = intermediate_value + 1e-15 "
        "WHERE step = 3 AND trial_id = (SELECT trial_id FROM trials WHERE number = ?)",
        SEARCHED,
    )
    outcome = rerun(run, SEARCHED)
    assert outcome.code == 1, outcome
    assert "differs: the objective's mean over the search folds in epoch 3" in outcome.out


def test_a_saved_weight_that_differs_in_its_last_bit_is_found(run: Path) -> None:
    path = model_path(run / "artifacts/models", BASELINE)
    weights = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    weights["fc1.bias"].view(-1).view(dtype=torch.int32)[2] ^= 1
    save_file(weights, path, metadata=metadata)
    outcome = rerun(run, BASELINE)
    assert outcome.code == 1, outcome
    assert "differs: fc1.bias[2] of the model on all images in epoch" in outcome.out


def test_another_machine_than_the_recorded_one_is_said(run: Path) -> None:
    other = {"device": "NVIDIA H200", "torch": "2.11.0", "num_threads": 1}
    change_attribute(run, SEARCHED, "searchlab:machines", lambda _: [other])
    outcome = rerun(run, SEARCHED)
    assert "note: the trial was trained on NVIDIA H200 with 1 thread of torch 2.11.0" in outcome.out


def test_trials_that_cannot_be_compared_are_refused(run: Path) -> None:
    assert_refused(rerun(run, 99), "must be a trial of tiny, got 99", "trials 0 to 9")
    assert_refused(run_searchlab("trial", "show", run, 99), "must be a trial of tiny, got 99")
    state = "UPDATE trials SET state = ? WHERE number = ?"
    change(run, state, "FAIL", SEARCHED)
    assert_refused(rerun(run, SEARCHED), f"trial {SEARCHED} failed", "no result to compare")
    change(run, state, "RUNNING", SEARCHED)
    assert_refused(rerun(run, SEARCHED), f"trial {SEARCHED} has not ended yet")


def test_other_images_than_the_recorded_ones_are_refused(run: Path) -> None:
    change(
        run,
        "UPDATE study_user_attributes SET value_json = ? WHERE key = 'searchlab.data_fingerprint'",
        '"0123456789abcdef"',
    )
    assert_refused(rerun(run, SEARCHED), "must have the images that the study began with")


def test_a_trial_of_an_earlier_searchlab_is_shown_and_compared(tmp_path: Path) -> None:
    run = unpack_recorded_runs(tmp_path) / "finished"
    outcome = run_searchlab("trial", "show", run)
    assert outcome.out.startswith("#8 a2/DT lr 0.015 (finalist)")
    again = rerun(run, 8)
    assert "did not record with which device and version of torch" in again.out
    assert "to 6 digits: train_loss" in again.out
    assert again.code in (0, 1), "its bits are those of the machine that recorded it"
