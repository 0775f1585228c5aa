"""``searchlab study report``: where it writes what, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from command_line import assert_refused, run_searchlab
from toy_runs import make_toy

from searchlab.records.run_folder import RunFolder


@pytest.fixture
def toy(tmp_path: Path) -> RunFolder:
    """A run with two finished search trials and one in flight."""
    return make_toy(tmp_path / "runs")


def test_it_goes_into_the_run_folder_again_and_again(toy: RunFolder) -> None:
    place = toy.path / "report.html"
    for _ in range(2):
        outcome = run_searchlab("study", "report", toy.path)
        assert (outcome.code, outcome.out) == (0, f"{place}\n"), outcome
    assert "The study is interrupted" in place.read_text()


def test_other_forms_go_beside_it(toy: RunFolder) -> None:
    for form, name in (("md", "report.md"), ("json", "report.json"), ("csv", "report")):
        outcome = run_searchlab("study", "report", toy.path, "--format", form)
        assert outcome.out == f"{toy.path / name}\n", outcome
    assert json.loads((toy.path / "report.json").read_text())["study"] == "toy"
    assert (toy.path / "report.md").read_text().startswith("# toy: report\n")
    assert (toy.path / "report" / "leaderboard.csv").read_text().startswith(",trial,model,kind,")


def test_a_file_of_ones_own_is_not_overwritten(toy: RunFolder, tmp_path: Path) -> None:
    own = tmp_path / "own.html"
    own.write_text("mine")
    outcome = run_searchlab("study", "report", toy.path, "--to", own)
    assert_refused(outcome, "own.html", "already exists", "--force")
    assert own.read_text() == "mine"
    assert run_searchlab("study", "report", toy.path, "--to", own, "--force").code == 0
    assert own.read_text().startswith("<!doctype html>")


def test_a_place_that_cannot_be_written_is_named(toy: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for option, place in (("--to", "file/report.html"), ("--figures", "file")):
        outcome = run_searchlab("study", "report", toy.path, option, tmp_path / place)
        assert_refused(outcome, place, "cannot be written", f"Choose another place with {option}")


def test_figures_need_kaleido(
    toy: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    outcome = run_searchlab("study", "report", toy.path, "--figures", tmp_path / "figures")
    assert_refused(outcome, "--figures", "needs Kaleido", "searchlab[figures]")
    assert not (tmp_path / "figures").exists()


def test_a_report_does_not_travel_with_an_exported_run(toy: RunFolder, tmp_path: Path) -> None:
    assert run_searchlab("study", "report", toy.path).code == 0
    archive = tmp_path / "toy.zip"
    assert run_searchlab("study", "export", toy.path, archive).code == 0
    again = run_searchlab("study", "import", archive, "--runs-dir", tmp_path / "others")
    assert again.code == 0, again
    assert not (tmp_path / "others" / "toy" / "report.html").exists()
