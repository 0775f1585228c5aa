"""Commands take a shipped study or space by its name, in a folder that has neither."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from command_line import assert_refused, run_searchlab

NEW = ("study", "new", "first", "--dataset", "digits", "--trials", 4)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["show", "check", "sample"])
def test_space_commands_take_a_name(command: str) -> None:
    assert run_searchlab("space", command, "mlp").code == 0
    assert_refused(run_searchlab("space", command, "mpl"), "mpl is neither", "mlp")


def test_a_new_study_holds_the_shipped_space_that_it_names(folder: Path) -> None:
    assert run_searchlab(*NEW, "--space", "cnn").code == 0
    written = yaml.safe_load((folder / "studies" / "first.yaml").read_text())
    assert written["space"]["parameters"]["family"].keys() == {"cnn", "fcn"}


def test_a_new_study_names_ones_own_space_of_that_name(folder: Path) -> None:
    (folder / "spaces").mkdir()
    (folder / "spaces" / "cnn.yaml").write_text("parameters: {family: cnn}")
    assert run_searchlab(*NEW, "--space", "cnn").code == 0
    assert "space: ../spaces/cnn.yaml\n" in (folder / "studies" / "first.yaml").read_text()


def test_a_run_begins_by_name_and_ones_own_study_wins(folder: Path) -> None:
    refused = run_searchlab("study", "run", "fashion-mnist", "--data-dir", folder)
    assert_refused(refused, "searchlab data fetch fashion_mnist")
    (folder / "studies").mkdir()
    (folder / "studies" / "fashion-mnist.yaml").write_text("name: ../mine")
    assert_refused(run_searchlab("study", "run", "fashion-mnist"), "studies/fashion-mnist.yaml")


def test_weights_are_checked_by_a_shipped_studys_name() -> None:
    checked = run_searchlab("weights", "check", "quickstart")
    assert checked.code == 0
    assert "All comparisons are as expected" in checked.out
    assert_refused(run_searchlab("weights", "check", "quikstart"), "is neither a study file")
