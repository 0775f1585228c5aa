"""The step that measures what a report needs: once, resumable, and never at a study's cost."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small_studies import NO_DATA, run_study

from searchlab.engine.diagnostics import step
from searchlab.engine.diagnostics.files import DiagnosticFiles
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.results import (
    COPIES_KEY,
    ModelErrors,
    Part,
    errors_key,
    labels_key,
)
from searchlab.engine.diagnostics.tasks import Skipped, Task, TooCostlyError, skipped_key
from searchlab.engine.launch import RunOptions, resume_study
from searchlab.errors import InterruptedStudyError
from searchlab.records.run_folder import RunFolder
from searchlab.report.page.findings import Findings
from searchlab.report.reading import read_study
from searchlab.report.status import read_status
from searchlab.study.callbacks import StudyCallback
from searchlab.study.plan import choose_best
from searchlab.training.checkpoint import model_path


class Phases(StudyCallback):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def begin_phase(self, what: str) -> None:
        self.seen.append(what)


@pytest.fixture(scope="module")
def undiagnosed(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished study whose file asks for no diagnostics."""
    return run_study(
        tmp_path_factory.mktemp("undiagnosed"),
        "serial",
        search={"trials": 1, "sampler": "random"},
        training={"epochs": 1},
        confirm={"top": 1},
    )


@pytest.fixture
def run(undiagnosed: RunFolder, tmp_path: Path) -> RunFolder:
    copy = RunFolder(tmp_path / "runs" / "tiny")
    shutil.copytree(undiagnosed.path, copy.path)
    return copy


def resume_with(run: RunFolder, diagnostics: str) -> list[str]:
    """Resume a study in which nothing else is left to do; return what was said of it."""
    phases = Phases()
    options = RunOptions(data_dir=NO_DATA, engine="serial", callback=phases)
    resume_study(run, options, overrides=(f"report.diagnostics={diagnostics}",))
    return [phase for phase in phases.seen if phase.startswith("for the report")]


def list_keys(run: RunFolder) -> list[str]:
    return sorted(path.stem for path in run.diagnostics.glob("*"))


def keys_of_data(run: RunFolder, *parts: Part) -> list[str]:
    records = read_study(run, None).records
    return [COPIES_KEY, *(labels_key(part, records) for part in parts)]


def keys_of_errors(run: RunFolder) -> list[str]:
    """Return the keys of the errors of the two models."""
    reading = read_study(run, None)
    best = choose_best(reading.spec, reading.records)
    assert set(best) == {"baseline", "finalist"}
    return sorted(errors_key(record.number) for record in best.values())


def test_what_the_study_leaves_out_is_not_measured(run: RunFolder) -> None:
    assert resume_with(run, "[]") == []
    assert not run.diagnostics.exists()


def test_the_best_finalist_and_baseline_are_measured_once(run: RunFolder) -> None:
    said = resume_with(run, "[errors]")
    assert [line.split(":")[0] for line in said] == [
        f"for the report, {number} of 5" for number in range(1, 6)
    ]
    assert list_keys(run) == sorted([*keys_of_errors(run), *keys_of_data(run, "training", "test")])
    assert resume_with(run, "[errors]") == []


def test_by_default_everything_is_measured(run: RunFolder) -> None:
    resume_with(run, "null")
    assert set(keys_of_errors(run)) <= set(list_keys(run))


def test_a_result_that_was_lost_or_damaged_is_measured_again(run: RunFolder) -> None:
    resume_with(run, "[errors]")
    files = DiagnosticFiles(run.diagnostics)
    lost, damaged = keys_of_errors(run)
    before = [files.read(key, ModelErrors) for key in (lost, damaged)]
    (run.diagnostics / f"{lost}.json").unlink()
    (run.diagnostics / f"{damaged}.json").write_text('{"seconds": 1.0, "result": {}}')
    assert files.read(damaged, ModelErrors) is None
    assert len(resume_with(run, "[errors]")) == 2
    again = [files.read(key, ModelErrors) for key in (lost, damaged)]
    assert [one and one.result for one in again] == [one and one.result for one in before]


def test_lost_weights_are_warned_of_and_the_others_measured(
    run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    lost, kept = keys_of_errors(run)
    model_path(run.models, int(lost.removeprefix("errors-"))).unlink()
    with caplog.at_level(logging.WARNING, logger="searchlab"):
        resume_with(run, "[errors]")
    assert list_keys(run) == sorted([kept, *keys_of_data(run, "training")]), "not the test's labels"
    assert "was not measured: InputError: " in caplog.text
    assert read_status(read_study(run, None)).state == "finished"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        ValueError("no images"),
        TypeError("a plugin's"),
    ],
)
def test_what_cannot_be_measured_is_warned_of_and_does_not_end_the_study(
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def fail() -> Any:
        raise error

    task = Task(key="broken", kind=ModelErrors, doing="a broken one", measure=fail)
    monkeypatch.setitem(step._PLANS, "errors", lambda _: [task])
    with caplog.at_level(logging.WARNING, logger="searchlab"):
        resume_with(run, "[errors]")
    assert f"a broken one was not measured: {type(error).__name__}: {error}" in caplog.text


def test_what_costs_too_much_is_skipped_and_the_reason_kept(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: FinishedStudy) -> list[Task]:
        raise TooCostlyError("It would take a year.")

    monkeypatch.setitem(step._PLANS, "errors", refuse)
    resume_with(run, "null")
    files = DiagnosticFiles(run.diagnostics)
    skipped = files.read(skipped_key("errors"), Skipped)
    assert skipped is not None
    assert skipped.result.reason == "It would take a year."
    found = Findings(read_study(run, None))
    assert found.explain_missing("errors") == (
        f"It would take a year. searchlab study resume {run.path} --set "
        "'report.diagnostics=[errors]' measures it all the same."
    )


def test_a_stop_keeps_what_is_measured_and_the_rest_is_measured_by_a_resume(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FinishedStudy.model

    def stop(finished: FinishedStudy, number: int) -> Any:
        finished.stop.make(2)
        return model(finished, number)

    with monkeypatch.context() as patch:
        patch.setattr(FinishedStudy, "model", stop)
        with pytest.raises(InterruptedStudyError):
            resume_with(run, "[errors]")
    assert len(list_keys(run)) == 1
    assert read_status(read_study(run, None)).state == "finished"
    assert len(resume_with(run, "[errors]")) == 4
    assert list_keys(run) == sorted([*keys_of_errors(run), *keys_of_data(run, "training", "test")])
