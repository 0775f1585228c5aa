"""--warm-start RUN: the best points of an earlier study, those that lie in the new one's space."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Outcome, assert_refused, run_searchlab, unpack_recorded_runs

from searchlab.config.loading import load_study


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_recorded_runs(tmp_path_factory.mktemp("recorded")) / "finished"


def _new(folder: Path, space: str, run: str | Path) -> tuple[Path, Outcome]:
    (folder / "space.yaml").write_text(f"parameters: {space}")
    out = folder / "new.yaml"
    flags = ["--dataset", "digits", "--space", folder / "space.yaml", "--trials", 20, "--out", out]
    return out, run_searchlab("study", "new", "new", *flags, "--warm-start", run)


def test_the_best_points_in_the_space_are_written_into_the_study(tmp_path: Path, run: Path) -> None:
    # The other space fixes the batch, and has one width for all layers.
    space = "{lr: {low: 0.001, high: 0.1}, family: {cnn: {depth: [1, 2], width: [4, 8]}}}"
    out, outcome = _new(tmp_path, space, run)
    assert outcome.code == 0, outcome.err
    assert ": search trials #7, #4, #6 (1 more would lie outside this space)" in outcome.err
    points = load_study(out).spec.search.warm_start
    assert [round(float(point.pop("lr")), 4) for point in points] == [0.0028, 0.0058, 0.0012]
    narrow = {"family": "cnn", "cnn.depth": 1, "cnn.width": 4}
    assert points == (narrow, narrow, {**narrow, "cnn.width": 8})


def test_a_study_without_a_point_in_the_space_is_refused(tmp_path: Path, run: Path) -> None:
    out, outcome = _new(tmp_path, "{lr: {low: 0.5, high: 0.6}, family: {cnn: {}}}", run)
    assert_refused(outcome, "--warm-start", "no complete search trial whose configuration lies")
    assert not out.exists()


def test_a_run_that_is_none_is_refused(tmp_path: Path) -> None:
    out, outcome = _new(tmp_path, "{lr: {low: 0.5, high: 0.6}, family: {cnn: {}}}", "nowhere")
    assert_refused(outcome, "nowhere", "is not a run folder")
    assert not out.exists()
