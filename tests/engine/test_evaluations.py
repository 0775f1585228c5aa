"""After a study: its ensembles and correlations, each measured once."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import yaml
from sklearn.metrics import confusion_matrix
from small_studies import NO_DATA, resume, write_study

from searchlab.analysis.ensembles import evaluate_ensemble
from searchlab.config.loading import load_study
from searchlab.engine import evaluations
from searchlab.engine.launch import RunOptions, begin_study, resume_study
from searchlab.engine.stopping import StopRequest
from searchlab.errors import InterruptedStudyError, StudyFailedError
from searchlab.records.run_folder import RunFolder
from searchlab.report.reading import read_study
from searchlab.report.status import read_status
from searchlab.study.preparation.prepared_study import prepare_study
from searchlab.training.checkpoint import model_path
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.saved_models import load_model

SMALL: dict[str, Any] = {
    "search": {"pruner": "none", "trials": 1, "sampler": "random"},
    "training": {"epochs": 1},
    "confirm": {"top": 0},
}
BOTH = ("ensembles={both: [a2/HF, a2/DT]}", "correlations={a2/DT: logits, a2/HF: features}")


def run_with(folder: Path, *overrides: str) -> RunFolder:
    run = RunFolder(folder / "runs" / "tiny")
    file = load_study(write_study(folder, **SMALL), overrides)
    begin_study(file, run, RunOptions(data_dir=NO_DATA, engine="serial"))
    return run


@pytest.fixture(scope="module")
def unevaluated(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished study that asked for no ensemble and no correlation."""
    return run_with(tmp_path_factory.mktemp("unevaluated"))


def evaluate(unevaluated: RunFolder, folder: Path, *overrides: str) -> RunFolder:
    """Resume a copy of the study, in which nothing but evaluations is left to do."""
    run = RunFolder(folder / "runs" / "tiny")
    shutil.copytree(unevaluated.path, run.path)
    resume_study(run, RunOptions(data_dir=NO_DATA, engine="serial"), overrides=overrides)
    return run


def recorded(run: RunFolder) -> dict[str, dict[str, Any]]:
    return read_study(run, None).evaluations


def state_of(run: RunFolder) -> str:
    return read_status(read_study(run, None)).state


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every model that is read back."""
    names: list[str] = []

    def note(path: Path, data: TrainingData) -> Any:
        names.append(path.name)
        return load_model(path, data)

    monkeypatch.setattr(evaluations, "load_model", note)
    return names


def test_each_is_recorded_once_from_models_loaded_once(
    unevaluated: RunFolder, tmp_path: Path, loaded: list[str]
) -> None:
    run = evaluate(unevaluated, tmp_path, *BOTH)
    found = recorded(run)
    assert set(found) == {"both", "a2/DT", "a2/HF"}
    assert 0 <= found["both"]["accuracy"] <= 1
    assert found["both"]["members"] == ["a2/HF", "a2/DT"]
    assert (found["a2/DT"]["num_neurons"], found["a2/DT"]["layer"]) == (10, "logits")
    assert found["a2/HF"]["num_neurons"] > 10
    assert loaded == ["trial-00000.safetensors", "trial-00001.safetensors"]
    resume(run)
    assert recorded(run) == found
    assert len(loaded) == 2


def test_confusions_are_those_of_the_saved_model(unevaluated: RunFolder, tmp_path: Path) -> None:
    row = "{table: t, name: n, trial: a2/DT, confusion: ['8', '1'], figures: {images: 3}}"
    run = evaluate(unevaluated, tmp_path, f"published={{source: report 9, rows: [{row}]}}")
    prepared = prepare_study(run.load(), data_dir=NO_DATA)
    data = TrainingData.from_images(prepared.images, prepared.folds, torch.device("cpu"))
    [number] = [one.number for one in read_study(run, None).records if one.label == "a2/DT"]
    guesses = load_model(model_path(run.models, number), data).logits(data).argmax(1)
    expected = confusion_matrix(data.test_labels, guesses, labels=range(10))
    assert recorded(run) == {"confusions of a2/DT": {"counts": expected.ravel().tolist()}}


def test_the_ensemble_is_that_of_the_saved_models(unevaluated: RunFolder, tmp_path: Path) -> None:
    run = evaluate(unevaluated, tmp_path, *BOTH)
    prepared = prepare_study(run.load(), data_dir=NO_DATA)
    data = TrainingData.from_images(prepared.images, prepared.folds, torch.device("cpu"))
    models = [load_model(model_path(run.models, number), data) for number in (0, 1)]
    figures = evaluate_ensemble([model.logits(data) for model in models], data.test_labels)
    found = recorded(run)["both"]
    assert (found["accuracy"], found["loss"]) == (
        figures["accuracy"],
        pytest.approx(figures["loss"]),
    )


def test_a_study_that_ends_before_is_evaluated_when_it_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("searchlab.engine.launch.evaluate_finished", die)
        with pytest.raises(KeyboardInterrupt):
            run_with(tmp_path, *BOTH)
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert recorded(run) == {}
    assert state_of(run) == "interrupted"
    resume(run)
    assert state_of(run) == "finished"
    assert set(recorded(run)) == {"both", "a2/DT", "a2/HF"}


def test_an_ensemble_of_other_members_is_measured_again(
    unevaluated: RunFolder, tmp_path: Path, loaded: list[str]
) -> None:
    run = evaluate(unevaluated, tmp_path, "ensembles={one: [a2/HF, a2/DT]}")
    resume_study(
        run,
        RunOptions(data_dir=NO_DATA, engine="serial"),
        overrides=("ensembles={one: [a2/DT, a2/HF], two: [a2/HF, a2/DT]}",),
    )
    found = recorded(run)
    assert found["one"]["members"] == ["a2/DT", "a2/HF"]
    assert found["one"]["accuracy"] == found["two"]["accuracy"]
    assert len(loaded) == 4


@pytest.fixture
def hf_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every baseline set by hand fail."""
    train_epoch = Member.train_epoch

    def fail_by_hand(member: Member, epoch: int) -> tuple[float, float]:
        if member._config.model.scheme == "HF":
            raise RuntimeError("out of luck")
        return train_epoch(member, epoch)

    monkeypatch.setattr(Member, "train_epoch", fail_by_hand)


@pytest.mark.usefixtures("hf_fails")
def test_what_names_a_failed_baseline_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="searchlab.engine.evaluations"):
        run = run_with(tmp_path, *BOTH)
    assert set(recorded(run)) == {"a2/DT"}
    assert "both was not measured: a2/HF did not complete" in caplog.text
    assert "a2/HF was not measured: a2/HF did not complete" in caplog.text
    assert state_of(run) == "finished"


def test_what_names_a_baseline_that_the_study_omits_is_skipped_silently(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="searchlab.engine.evaluations"):
        run = run_with(tmp_path, *BOTH, "baselines.only=[a2/DT]")
    assert set(recorded(run)) == {"a2/DT"}
    assert "was not measured" not in caplog.text


def test_a_study_whose_search_failed_is_evaluated_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_epoch = Member.train_epoch

    def fail_in_search(member: Member, epoch: int) -> tuple[float, float]:
        if member._config.role == "search":
            raise RuntimeError("out of luck")
        return train_epoch(member, epoch)

    monkeypatch.setattr(Member, "train_epoch", fail_in_search)
    with pytest.raises(StudyFailedError, match="all 1 search trials failed"):
        run_with(tmp_path, *BOTH)
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert set(recorded(run)) == {"both", "a2/DT", "a2/HF"}
    assert state_of(run) == "finished"


def test_a_stop_between_two_evaluations_keeps_the_first_and_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: list[str]
) -> None:
    def interrupt(*_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return evaluate_ensemble(*_)

    monkeypatch.setattr(evaluations, "evaluate_ensemble", interrupt)
    with pytest.raises(InterruptedStudyError, match="searchlab study resume") as caught:
        run_with(tmp_path, *BOTH)
    assert caught.value.exit_code == 130
    run = RunFolder(tmp_path / "runs" / "tiny")
    first = recorded(run)
    assert set(first) == {"both"}
    assert state_of(run) == "interrupted"
    resume(run)
    assert set(recorded(run)) == {"both", "a2/DT", "a2/HF"}
    assert recorded(run)["both"] == first["both"]
    assert state_of(run) == "finished"


@pytest.mark.slow
def test_a_driver_killed_between_two_evaluations_is_resumed(tmp_path: Path) -> None:
    evaluated = {
        "ensembles": {"both": ["a2/HF", "a2/DT"]},
        "correlations": {"a2/DT": "logits", "a2/HF": "features"},
    }
    path = write_study(tmp_path, **SMALL)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **evaluated}))
    options = ["--runs-dir", tmp_path / "runs", "--engine", "serial", "--quiet"]
    driver = Path(__file__).with_name("signalling_driver.py")
    command = [sys.executable, driver, "SIGKILL", "evaluate:1", "study", "run", path, *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert set(recorded(run)) == {"both"}
    assert state_of(run) == "interrupted"
    resume(run)
    assert set(recorded(run)) == {"both", "a2/DT", "a2/HF"}
    assert state_of(run) == "finished"


def test_what_cannot_be_measured_is_skipped_with_a_warning(
    unevaluated: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def lose_a_model(
        prepared: Any, study: optuna.Study, records: Any, models: Path, *, stop: StopRequest
    ) -> None:
        model_path(models, 0).unlink()
        with caplog.at_level(logging.WARNING, logger="searchlab"):
            evaluations.evaluate_finished(prepared, study, records, models, stop=stop)

    monkeypatch.setattr("searchlab.engine.launch.evaluate_finished", lose_a_model)
    run = evaluate(unevaluated, tmp_path, *BOTH)
    assert set(recorded(run)) == {"a2/DT"}
    assert "both was not measured" in caplog.text
    assert "a2/HF was not measured" in caplog.text
    assert "trial-00000.safetensors is not the model of a finished trial" in caplog.text


def test_neurons_that_are_all_silent_do_not_end_the_study_in_an_error(
    unevaluated: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(
        "searchlab.training.saved_models.SavedModel.features",
        lambda _model, data: torch.zeros(len(data.test_labels), 5),
    )
    with caplog.at_level(logging.WARNING, logger="searchlab"):
        run = evaluate(unevaluated, tmp_path, *BOTH)
    assert set(recorded(run)) == {"both", "a2/DT"}
    assert "a2/HF was not measured: needs two neurons that respond, got 0" in caplog.text


def test_a_study_that_asks_for_nothing_records_nothing(
    unevaluated: RunFolder, tmp_path: Path, loaded: list[str]
) -> None:
    assert recorded(evaluate(unevaluated, tmp_path)) == {}
    assert loaded == []
