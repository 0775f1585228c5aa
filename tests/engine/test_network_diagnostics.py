"""What is measured inside a finished study's networks: filters, neurons, layers by epoch."""

from __future__ import annotations

import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from small_studies import NO_DATA, run_study

from searchlab.analysis.layers import probe_layers
from searchlab.engine.diagnostics import layers as layers_module
from searchlab.engine.diagnostics import networks, retraining
from searchlab.engine.diagnostics.files import DiagnosticFiles
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.layers import choose_epochs
from searchlab.engine.diagnostics.layers_cost import LARGEST_SHARE, share_of_study
from searchlab.engine.diagnostics.results import (
    FirstFilters,
    Neurons,
    ProbedTraining,
    choose_compared,
    filters_key,
    layers_key,
    neurons_key,
)
from searchlab.engine.diagnostics.tasks import Skipped, skipped_key
from searchlab.engine.launch import RunOptions, resume_study
from searchlab.errors import InterruptedStudyError
from searchlab.records.run_folder import RunFolder
from searchlab.report.reading import StudyReading, read_study
from searchlab.study.plan import choose_best
from searchlab.training.checkpoint import model_path
from searchlab.training.saved_models import read_model

ResultT = TypeVar("ResultT")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A study whose finalist is an fcn, with a2 under every scheme, that looked into networks."""
    return run_study(
        tmp_path_factory.mktemp("networks"),
        "serial",
        space={"parameters": {"dropout": 0.2, "family": {"fcn": {"width": [16]}}}},
        search={"trials": 1, "sampler": "random"},
        training={"epochs": 3, "batch_size": 128},
        baselines={"architectures": ["a2"], "schemes": ["HF", "HT", "DT"]},
        confirm={"top": 1},
        report={"diagnostics": ["networks"]},
    )


@pytest.fixture(scope="module")
def reading(measured: RunFolder) -> StudyReading:
    return read_study(measured, None)


@pytest.fixture
def run(measured: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the study in which nothing is measured."""
    copy = RunFolder(tmp_path / "runs" / "tiny")
    shutil.copytree(measured.path, copy.path)
    shutil.rmtree(copy.diagnostics)
    return copy


def resume_with(run: RunFolder, diagnostics: str) -> None:
    options = RunOptions(data_dir=NO_DATA, engine="serial")
    resume_study(run, options, overrides=(f"report.diagnostics={diagnostics}",))


def read(run: RunFolder, key: str, kind: type[ResultT]) -> ResultT:
    found = DiagnosticFiles(run.diagnostics).read(key, kind)
    assert found is not None, key
    return found.result


def number_of(reading: StudyReading, label: str) -> int:
    [number] = [
        one.number for one in reading.records if (one.label, one.role != "search") == (label, True)
    ]
    return number


def test_frozen_filters_move_by_exactly_0_and_trained_ones_do_not(reading: StudyReading) -> None:
    moved = {
        scheme: read(
            reading.run, filters_key(number_of(reading, f"a2/{scheme}")), FirstFilters
        ).moved
        for scheme in ("HF", "HT", "DT")
    }
    distances = {scheme: one.distance for scheme, one in moved.items() if one is not None}
    assert distances["HF"] == 0
    assert distances["HT"] > 0.01
    assert distances["DT"] > 0.01
    assert moved["HT"] is not None
    assert moved["HF"] is not None
    assert moved["HT"].first == moved["HF"].first == moved["HF"].last, "both begin by hand"


def test_the_distance_is_that_of_the_kept_weights_from_the_initial_ones(
    reading: StudyReading,
) -> None:
    number = number_of(reading, "a2/HT")
    moved = read(reading.run, filters_key(number), FirstFilters).moved
    _, weights = read_model(model_path(reading.run.models, number))
    by_hand = read(reading.run, filters_key(number_of(reading, "a2/HF")), FirstFilters).moved
    assert moved is not None
    assert by_hand is not None
    kept = weights["conv1.weight"].double().numpy()[:, 0]
    assert moved.distance == pytest.approx(np.linalg.norm(kept - np.array(by_hand.first)))


def test_a_network_without_a_convolution_has_no_filters(reading: StudyReading) -> None:
    number = number_of(reading, "fcn")
    assert read(reading.run, filters_key(number), FirstFilters).moved is None


def test_the_models_trained_again_are_those_that_are_kept(reading: StudyReading) -> None:
    subjects = choose_best(reading.spec, reading.records)
    assert set(subjects) == {"finalist", "baseline"}
    for record in subjects.values():
        probed = read(reading.run, layers_key(record.number), ProbedTraining)
        assert probed.is_same
        assert [one.epoch for one in probed.epochs] == [*range((record.fold_epoch or 0) + 1)]
        assert probed.num_images == 512
        assert probed.machine == record.machines[0]


def test_layers_are_those_of_the_families(reading: StudyReading) -> None:
    subjects = choose_best(reading.spec, reading.records)
    layers = {
        role: read(reading.run, layers_key(one.number), ProbedTraining).epochs[-1].layers
        for role, one in subjects.items()
    }
    assert [one.name for one in layers["baseline"]] == ["conv1", "relu1", "conv2", "relu2", "fc1"]
    assert [one.kind for one in layers["finalist"]][-1] == "Linear"
    assert not [one for one in layers["finalist"] if one.kind == "Conv2d"]


def test_neurons_are_compared_in_both_layers(reading: StudyReading) -> None:
    subjects = [*choose_best(reading.spec, reading.records).values()]
    compared = choose_compared(subjects, reading.records)
    neurons = read(reading.run, neurons_key(compared), Neurons)
    assert neurons.num_images == 360
    assert {(one.number, one.layer) for one in neurons.layers} == {
        (record.number, layer) for record in subjects for layer in ("features", "logits")
    }
    assert [pair.layer for pair in neurons.pairs] == ["features", "logits"]
    assert all(0.05 < pair.cka < 1 for pair in neurons.pairs)
    for one in neurons.layers:
        assert len(one.matrix) <= 64
        assert np.diagonal(one.matrix) == pytest.approx(1)
        if one.layer == "logits":
            matrix = np.array(one.matrix)
            assert one.figures.mean == pytest.approx(matrix.mean(), abs=1e-3)
            assert one.figures.std == pytest.approx(matrix.std(), abs=1e-3)


def test_a_resnet18_is_compared_too(reading: StudyReading) -> None:
    subjects = [*choose_best(reading.spec, reading.records).values()]
    other = replace(subjects[0], number=99, params={"family": "resnet"})
    deeper = replace(other, number=98, params={"family": "resnet", "resnet.variant": 50})
    assert choose_compared(subjects, [*subjects, deeper]) == subjects
    assert choose_compared(subjects, [*subjects, deeper, other]) == [*subjects, other]
    assert choose_compared([other], [*subjects, other]) == [other]


def test_what_would_cost_too_much_is_trained_again_only_if_it_is_asked_for(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "LARGEST_SHARE", 0.0)
    resume_with(run, "null")
    keys = {path.stem.split("-")[0] for path in run.diagnostics.glob("*")}
    assert {"filters", "neurons"} <= keys
    assert "layers" not in keys
    skipped = read(run, skipped_key("networks"), Skipped)
    assert re.search(r"both models must be trained again, .* \d+% of the study's", skipped.reason)
    resume_with(run, "[networks]")
    assert len([*run.diagnostics.glob("layers-*")]) == 2


def test_the_cost_is_that_of_the_confirmations_or_of_a_models_share(
    reading: StudyReading,
) -> None:
    """Two folds and the full member train in a baseline; a finalist takes one fold over."""
    best = choose_best(reading.spec, reading.records)
    finalist = replace(best["finalist"], seconds=20.0, epochs=10, fold_epoch=5)
    baseline = replace(best["baseline"], seconds=30.0, epochs=10, fold_epoch=10)
    others = replace(finalist, number=90, role="search", seconds=950.0)
    records = [finalist, baseline, others]
    subjects = [finalist, baseline]
    many = 10**9  # images, beside which a look at 512 costs nothing
    share = share_of_study(reading.spec, subjects, records, num_images=many)
    assert share == pytest.approx((20 / 2 * 5 / 10 + 30 / 3) / 1000)
    assert share < LARGEST_SHARE
    few = share_of_study(reading.spec, subjects, records, num_images=512)
    assert few == pytest.approx(
        (20 / 2 * 5 / 10 * (1 + 1.5 * 6 / 5) + 30 / 3 * (1 + 1.5 * 11 / 10)) / 1000
    ), "six looks at five epochs of 512 images, and eleven at ten"
    confirmed = replace(
        finalist, number=91, role="confirmation", confirmation_of=finalist.number, seconds=100.0
    )
    share = share_of_study(reading.spec, subjects, [*records, confirmed], num_images=many)
    assert share == pytest.approx((100 + 10) / 1100)


def test_a_stop_ends_the_training_at_an_epoch_and_a_resume_begins_it_again(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FinishedStudy] = []
    retrain = layers_module.retrain

    def note(finished: FinishedStudy, *arguments: Any) -> Any:
        made.append(finished)
        return retrain(finished, *arguments)

    def stop(*arguments: Any) -> Any:
        made[0].stop.make(2)
        return probe_layers(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(layers_module, "retrain", note)
        patch.setattr(layers_module, "probe_layers", stop)
        with pytest.raises(InterruptedStudyError):
            resume_with(run, "[networks]")
    assert len(made) == 1
    assert not [*run.diagnostics.glob("layers-*")]
    assert [*run.diagnostics.glob("filters-*")]
    resume_with(run, "[networks]")
    assert len([*run.diagnostics.glob("layers-*")]) == 2


def test_weights_that_differ_in_a_bit_are_said_to_be_others(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retraining, "kept_epoch", lambda _: 0)
    resume_with(run, "[networks]")
    found = [
        DiagnosticFiles(run.diagnostics).read(path.stem, ProbedTraining)
        for path in run.diagnostics.glob("layers-*")
    ]
    assert [one and one.result.is_same for one in found] == [False, False]


def test_a_loss_that_is_not_finite_here_is_warned_of(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def diverge(*_: object, **__: object) -> None:
        raise retraining.DivergedError

    monkeypatch.setattr(retraining.Member, "train_epoch", diverge)
    with caplog.at_level(logging.WARNING, logger="searchlab"):
        resume_with(run, "[networks]")
    assert caplog.text.count("its loss is not finite in epoch 1") == 2


@pytest.mark.parametrize("num_epochs", [1, 30, 31, 200])
def test_epochs_are_thinned_and_the_first_and_the_last_stay(num_epochs: int) -> None:
    chosen = choose_epochs(num_epochs)
    assert {0, num_epochs} <= chosen
    assert len(chosen) == min(num_epochs + 1, 31)
