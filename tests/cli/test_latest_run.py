"""Without RUN, commands that read a run take the latest, and say on stderr which it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from command_line import assert_refused, run_searchlab
from toy_runs import make_toy

READING = (
    ("study", "leaderboard"),
    ("study", "best"),
    ("study", "status"),
    ("study", "export"),
    ("trial", "show"),
    ("weights", "check"),
    ("weights", "save"),
)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default folder of runs, in which ``toy`` is the latest."""
    monkeypatch.chdir(tmp_path)
    toy = make_toy(tmp_path / "runs")
    shutil.copytree(toy.path, toy.path.with_name("earlier"))
    for age, name in enumerate(("earlier", "toy")):
        os.utime(toy.path.with_name(name) / "study.yaml", (1000 + age, 1000 + age))
    return toy.path.parent


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_the_latest_run_is_taken_and_named_on_stderr(runs: Path, command: tuple[str, ...]) -> None:
    outcome = run_searchlab(*command)
    assert outcome.code == 0, outcome
    assert outcome.err.startswith("Latest run: runs/toy\n")
    assert "Latest" not in outcome.out
    assert "Latest" not in run_searchlab(*command, "runs/toy", *_again(command)).err


def _again(command: tuple[str, ...]) -> tuple[str, ...]:
    return ("toy.zip", "--force") if command[-1] == "export" else ()


@pytest.mark.parametrize("command", [*READING, ("dashboard",)], ids=" ".join)
def test_no_run_at_all_says_what_to_do(tmp_path: Path, command: tuple[str, ...]) -> None:
    outcome = run_searchlab(*command, "--runs-dir", tmp_path / "none")
    assert_refused(outcome, f"{tmp_path}/none/", "contains no runs", "searchlab study run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("study", "resume"), ("study", "delete")], ids=" ".join)
def test_commands_that_change_a_run_must_be_told_which(
    runs: Path, command: tuple[str, ...]
) -> None:
    before = sorted(runs.rglob("*"))
    assert_refused(run_searchlab(*command), "RUN")
    assert sorted(runs.rglob("*")) == before


def test_an_export_without_a_file_is_named_after_its_run(runs: Path) -> None:
    assert "toy.zip" in run_searchlab("study", "export", runs / "toy").out
    assert Path("toy.zip").is_file()
    assert_refused(run_searchlab("study", "export"), "toy.zip", "--force")
