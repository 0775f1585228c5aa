"""searchlab weights: check and save the initial weights of a study's baselines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import assert_refused, run_searchlab
from safetensors.torch import load_file, save_file

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.models.build import build_model
from searchlab.models.saved_weights import copy_weights, describe_difference
from searchlab.records.run_folder import RunFolder

STUDY: dict[str, Any] = {
    "name": "toy",
    "dataset": {"name": "digits"},
    "space": {"parameters": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "family": "cnn"}},
    "search": {"sampler": "random", "trials": 3, "seed": 5},
    "validation": {"folds": 3, "search_folds": 1},
    "baselines": {"architectures": ["a1", "a2"]},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "toy")
    folder.write(STUDY)
    return folder.path


def with_baselines(run: Path, **baselines: object) -> None:
    RunFolder(run).write({**STUDY, "baselines": baselines})


def test_check_prints_every_pair_and_layer(run: Path) -> None:
    outcome = run_searchlab("weights", "check", "toy", "--runs-dir", run.parent)
    assert (outcome.code, outcome.err) == (0, "")
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["fold", "0", "a1/HF", "-", "a1/HT", "conv1", "0", "0", "ok"] in lines
    assert ["fold", "0", "a1/DT", "-", "a2/DT", "conv1", "0", "0", "ok"] in lines
    (different,) = [line for line in lines if line[2:6] == ["a2/HT", "-", "a2/DT", "conv1"]]
    assert float(different[6]) > 0
    assert different[7:] == [">", "0", "ok"]
    assert outcome.out.endswith("All comparisons are as expected.\n")


def test_only_the_baselines_that_run_are_checked(run: Path) -> None:
    with_baselines(run, architectures=["a1", "a2"], only=["a1/HF", "a1/HT"])
    outcome = run_searchlab("weights", "check", "toy", "--runs-dir", run.parent)
    assert outcome.code == 0
    assert "a1/HF - a1/HT" in outcome.out
    assert "a2" not in outcome.out


def test_check_as_json_covers_the_members_asked_for(run: Path) -> None:
    def check(*options: str) -> dict[str, Any]:
        outcome = run_searchlab("weights", "check", run, "--json", *options)
        assert outcome.code == 0
        printed: dict[str, Any] = json.loads(outcome.out)
        assert printed["ok"]
        assert printed["seed"] == 5
        return printed

    def members(*options: str) -> list[object]:
        return list(dict.fromkeys(row["member"] for row in check(*options)["comparisons"]))

    assert members() == [0]
    assert members("--fold", "2") == [2]
    assert members("--fold", "full") == ["full"]
    assert members("--all-folds") == [0, 1, 2, "full"]
    row = check()["comparisons"][0]
    assert row["pair"] == ["a1/HF", "a1/HT"]
    assert (row["layer"], row["norm"], row["expected"], row["ok"]) == ("conv1", 0.0, "equal", True)


@pytest.mark.parametrize("fold", ["3", "-1", "Full", "0.0"])
def test_unknown_fold_is_refused(run: Path, fold: str) -> None:
    outcome = run_searchlab("weights", "check", run, f"--fold={fold}")
    assert_refused(outcome, "must be a fold from 0 to 2, or full", fold)


def test_check_refuses_what_it_cannot_check(run: Path) -> None:
    assert_refused(
        run_searchlab("weights", "check", run, "--fold", 1, "--all-folds"),
        "--fold cannot be combined with",
    )
    assert_refused(run_searchlab("weights", "check", run.parent / "other"), "is neither a study")
    with_baselines(run, architectures=["a1"], schemes=["DT"])
    outcome = run_searchlab("weights", "check", run)
    assert (outcome.code, outcome.out) == (2, "")
    assert "nothing to compare" in outcome.err
    with_baselines(run, architectures=[])
    assert_refused(run_searchlab("weights", "check", run), "study toy has no baselines")


def test_saved_files_hold_what_each_member_begins_with(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    outcome = run_searchlab("weights", "save", run, "--to", folder)
    assert outcome.code == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {
        f"{architecture}-{scheme}-{member}.safetensors"
        for architecture in ("a1", "a2")
        for scheme in ("HF", "HT", "DT")
        for member in ("fold0", "fold1", "fold2", "full")
    }
    assert outcome.out.count(": saved\n") == len(names)
    # The key that training/member.py builds a member's model with.
    for member, key in (("fold2", (5, 2, 0)), ("full", (5, "full", 0))):
        config = ModelConfig(family="a2", scheme="HT")
        model = build_model(
            config, TrainingSettings(), image_shape=(1, 8, 8), num_classes=10, key=key
        )
        saved = load_file(folder / f"a2-HT-{member}.safetensors")
        assert describe_difference(copy_weights(model), saved) is None


def test_saving_again_keeps_every_file(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    run_searchlab("weights", "save", run, "--to", folder)
    (folder / "a1-HF-fold0.safetensors").unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    outcome = run_searchlab("weights", "save", run, "--to", folder, "--json")
    kept = {Path(entry["path"]).name: entry["kept"] for entry in json.loads(outcome.out)}
    assert [name for name, is_kept in kept.items() if not is_kept] == ["a1-HF-fold0.safetensors"]
    assert len(kept) == len(before) + 1
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_file_of_other_weights_is_named_and_nothing_is_written(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    run_searchlab("weights", "save", run, "--to", folder, "--fold", 1)
    path = folder / "a2-DT-fold1.safetensors"
    weights = load_file(path)
    weights["fc1.bias"][3] += 1
    save_file(weights, path)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    outcome = run_searchlab("weights", "save", run, "--to", folder)
    assert_refused(outcome, str(path), "fc1.bias differs by a norm of 1", "--to")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_check_finds_a_saved_weight_that_is_off(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    run_searchlab("weights", "save", run, "--to", folder, "--fold", 0)
    check = ("weights", "check", run, "--folder", folder)
    outcome = run_searchlab(*check)
    assert outcome.code == 0
    assert outcome.out.count(" - saved ") == 15  # 2 layers of a1 and 3 of a2, by 3 schemes
    path = folder / "a1-HT-fold0.safetensors"
    weights = load_file(path)
    weights["conv1.weight"][0, 0, 0, 1] = 1
    save_file(weights, path)
    outcome = run_searchlab(*check)
    assert outcome.code == 1
    assert "a1/HT - saved in conv1 (fold 0), whose norm of the difference is 1" in outcome.err
    assert outcome.out.count("OFF") == 1
    printed = json.loads(run_searchlab(*check, "--json").out)
    assert not printed["ok"]
    assert_refused(run_searchlab(*check, "--fold", 1), "a1-HF-fold1.safetensors does not exist")


def test_check_compares_with_the_folder_that_the_study_begins_from(
    run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "weights"
    with_baselines(run, architectures=["a1"], weights=str(folder))
    assert_refused(run_searchlab("weights", "check", run), "does not exist")
    run_searchlab("weights", "save", run, "--to", folder)
    assert " - saved " in run_searchlab("weights", "check", run).out


def test_study_file_stands_in_for_a_run(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    folder = tmp_path / "weights"
    outcome = run_searchlab("weights", "save", path, "--to", folder, "--fold", "full")
    assert outcome.code == 0
    assert len(list(folder.iterdir())) == 6
    assert run_searchlab("weights", "check", path, "--folder", folder, "--fold", "full").code == 0


def test_initial_scheme_of_the_baselines_training_is_used(run: Path, tmp_path: Path) -> None:
    with_baselines(run, architectures=["a1"], schemes=["DT"], training={"init": "normal"})
    folder = tmp_path / "weights"
    run_searchlab("weights", "save", run, "--to", folder, "--fold", 0)
    saved = load_file(folder / "a1-DT-fold0.safetensors")
    config, settings = ModelConfig(family="a1"), TrainingSettings(init="normal")
    model = build_model(config, settings, image_shape=(1, 8, 8), num_classes=10, key=(5, 0, 0))
    assert describe_difference(copy_weights(model), saved) is None
