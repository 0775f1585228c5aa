"""The ensemble of finalists: its weights come from held-out images, not from the test set."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_studies import NO_DATA, run_study

from searchlab.analysis.ensembles import evaluate_ensemble
from searchlab.engine.diagnostics.ensemble import plan_ensemble
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.results import Ensembles, ensemble_key, list_members
from searchlab.engine.stopping import StopRequest
from searchlab.records.run_folder import RunFolder
from searchlab.report.page.ensemble import make_ensemble
from searchlab.report.page.findings import Findings
from searchlab.report.reading import read_study
from searchlab.study.preparation.prepared_study import prepare_study
from searchlab.training.held_out import held_out_path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A study whose two finalists each have models of two folds that their search trials lack."""
    return run_study(
        tmp_path_factory.mktemp("ensemble"),
        "serial",
        search={"trials": 3, "sampler": "random", "pruner": "none"},
        training={"epochs": 2},
        validation={"folds": 3, "search_folds": 1},
        baselines={"architectures": []},
        confirm={"top": 2},
        report={"diagnostics": ["ensemble"]},
    )


def open_finished(run: RunFolder) -> FinishedStudy:
    return FinishedStudy(
        run=run,
        prepared=prepare_study(run.load(), data_dir=NO_DATA),
        records=read_study(run, None).records,
        stop=StopRequest(),
    )


def measure(run: RunFolder) -> Ensembles:
    [task] = plan_ensemble(open_finished(run))
    measured = task.measure()
    assert isinstance(measured, Ensembles)
    return measured


def test_it_is_that_of_the_finalists_kept_models(run: RunFolder) -> None:
    found, finished = measure(run), open_finished(run)
    assert found.members == list_members(finished.records)
    assert len(found.members) == 2
    logits = [finished.model(number).logits(finished.data) for number in found.members]
    assert found.average.figures == evaluate_ensemble(logits, finished.data.test_labels)
    records = {record.number: record for record in finished.records}
    for number, alone in zip(found.members, found.alone, strict=True):
        assert alone["accuracy"] == records[number].test_figures["accuracy"]


def test_weights_are_chosen_on_the_images_that_both_have_held_out(run: RunFolder) -> None:
    found, finished = measure(run), open_finished(run)
    assert found.greedy is not None
    assert sum(found.greedy.weights) == pytest.approx(1)
    held_out = sum(len(fold) for fold in finished.prepared.folds[1:])
    assert found.held_out_images == held_out, "the search's fold has no models of the finalists"


def test_the_step_keeps_it_and_the_page_says_it(run: RunFolder) -> None:
    reading = read_study(run, None)
    assert (run.diagnostics / f"{ensemble_key(list_members(reading.records))}.json").is_file()
    section = make_ensemble(Findings(reading))
    assert section is not None
    assert section.says.startswith("The best of the 2 finalists alone, #")
    assert "held-out images" in section.says


def test_without_held_out_predictions_the_mean_alone_is_measured(
    run: RunFolder, tmp_path: Path
) -> None:
    finished = open_finished(run)
    path = held_out_path(run.models, list_members(finished.records)[0])
    aside = path.rename(tmp_path / path.name)
    try:
        found = measure(run)
    finally:
        aside.rename(path)
    assert found.greedy is None
    assert "has no held-out predictions" in found.without_greedy
    assert found.average.weights == [0.5, 0.5]
    assert torch.isfinite(torch.tensor(found.average.figures["loss"]))
