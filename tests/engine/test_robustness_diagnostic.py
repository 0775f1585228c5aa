"""The diagnostic of robustness: both models on the same images, as many as the study can afford."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_studies import NO_DATA, run_study

from searchlab.config.diagnostics import DiagnosticName, ReportSpec
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.results import ModelRobustness
from searchlab.engine.diagnostics.robustness import plan_robustness
from searchlab.engine.diagnostics.tasks import StoppedError, TooCostlyError
from searchlab.engine.stopping import StopRequest
from searchlab.records.run_folder import RunFolder
from searchlab.report.reading import read_study
from searchlab.study.preparation.prepared_study import PreparedStudy, prepare_study


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_study(
        tmp_path_factory.mktemp("robustness"),
        "serial",
        search={"trials": 1, "sampler": "random"},
        training={"epochs": 1},
        confirm={"top": 1},
    )


def open_finished(
    run: RunFolder, wanted: tuple[DiagnosticName, ...] | None, *, seconds: float = 1.0
) -> FinishedStudy:
    """Open the study, with each trial's training taking so many seconds."""
    prepared = prepare_study(run.load(), data_dir=NO_DATA)
    spec = prepared.spec.model_copy(update={"report": ReportSpec(diagnostics=wanted)})
    records = [replace(record, seconds=seconds) for record in read_study(run, None).records]
    return FinishedStudy(
        run=run,
        prepared=PreparedStudy(
            plan=replace(prepared.plan, spec=spec), images=prepared.images, folds=prepared.folds
        ),
        records=records,
        stop=StopRequest(),
    )


def test_both_are_attacked_on_all_images_of_a_small_test_set_if_the_study_asks(
    run: RunFolder,
) -> None:
    finished = open_finished(run, ("robustness",))
    measured = [task.measure() for task in plan_robustness(finished)]
    assert len(measured) == 2
    for one in measured:
        assert isinstance(one, ModelRobustness)
        assert one.images == len(finished.data.test_labels)
        assert [curve.attack for curve in one.curves] == ["fgsm", "pgd"]
        for curve in one.curves:
            assert curve.epsilons[0] == 0
            assert len(curve.epsilons) == len(curve.accuracies)
        first, second = (curve.accuracies[0] for curve in one.curves)
        assert first == second
    [again, _] = [task.measure() for task in plan_robustness(open_finished(run, ("robustness",)))]
    assert again == measured[0]


def test_images_are_as_many_as_a_small_share_of_the_training_pays_for(run: RunFolder) -> None:
    finished = open_finished(run, None)
    finished.records[:] = [
        replace(record, seconds=record.seconds * (200 if record.role == "search" else 1))
        for record in finished.records
    ]
    sizes = {task.measure().images for task in plan_robustness(finished)}
    [size] = sizes
    assert 50 <= size < len(finished.data.test_labels)


def test_a_study_that_is_too_short_for_50_images_is_told_so(run: RunFolder) -> None:
    with pytest.raises(TooCostlyError, match="at least 50 images would take more than"):
        [*plan_robustness(open_finished(run, None))]


def test_a_stop_ends_an_attack(run: RunFolder) -> None:
    finished = open_finished(run, ("robustness",))
    [first, _] = plan_robustness(finished)
    finished.stop.make(2)
    finished.stop.close()
    with pytest.raises(StoppedError):
        first.measure()
