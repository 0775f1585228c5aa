"""The recorded study is the truth: what a run folder's file says otherwise is named and refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from small_studies import NO_DATA, ONE_TRIAL, describe_trials, resume, run_study

from searchlab.engine.launch import RunOptions, resume_study
from searchlab.errors import InputError
from searchlab.records.recorded_spec import check_unchanged
from searchlab.records.run_folder import RunFolder
from searchlab.report.reading import read_study


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run; every test restores its file."""
    return run_study(tmp_path_factory.mktemp("finished"), "serial", **ONE_TRIAL)


@pytest.fixture
def run(finished: RunFolder) -> Any:
    text = finished.study_file.read_text()
    yield finished
    finished.study_file.write_text(text)


def edit(run: RunFolder, place: str, value: object) -> None:
    data = yaml.safe_load(run.study_file.read_text())
    inner = data
    *above, last = place.split(".")
    for name in above:
        inner = inner.setdefault(name, {})
    inner[last] = value
    run.study_file.write_text(yaml.safe_dump(data))


@pytest.mark.parametrize(
    ("place", "value", "shown"),
    [
        (
            "objective",
            {"metric": "loss", "direction": "minimize"},
            'objective.metric: "accuracy" when the study began, "loss" in the file',
        ),
        ("training.epochs", 7, "training.epochs: 1 when the study began, 7 in the file"),
        ("validation.folds", 3, "validation.folds: 2 when the study began, 3 in the file"),
        ("search.seed", 9, "search.seed: 3 when the study began, 9 in the file"),
        ("training.batch_size", 512, "training.batch_size: 256 when"),
        ("space.parameters.lr.low", 0.002, "space.parameters.lr.low: 0.001 when"),
        ("space.parameters.momentum", [0.0, 0.9], "space.parameters.momentum: nothing when"),
        ("baselines.architectures", ["a1"], "baselines.architectures: [] when"),
        ("dataset.limit", 500, "dataset.limit: null when"),
    ],
)
def test_an_edit_that_would_mix_values_is_named_and_refused(
    run: RunFolder, place: str, value: object, shown: str
) -> None:
    before = describe_trials(run)
    edit(run, place, value)
    for act in (resume, lambda run: read_study(run, None)):
        with pytest.raises(InputError) as error:
            act(run)
        assert shown in str(error.value)
        assert "--set name=" in str(error.value)
    assert describe_trials(run) == before


def test_each_field_that_differs_is_named(run: RunFolder) -> None:
    edit(run, "training.epochs", 7)
    edit(run, "search.sampler", "random")
    with pytest.raises(InputError, match=r"(?s)search\.sampler.*training\.epochs"):
        resume(run)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("search.timeout", 3600),
        ("search.max_failures_in_row", 9),
        ("confirm.top", 0),
        ("resources.workers", 2),
        ("published", None),
        ("validation.folds", 2),
        ("training.schedule", "constant"),  # the default, written out
    ],
)
def test_what_a_resume_may_change_and_other_spellings_are_no_difference(
    run: RunFolder, place: str, value: object
) -> None:
    edit(run, place, value)
    resume(run)
    read_study(run, None)


def test_a_name_that_was_edited_is_refused_and_begins_nothing(run: RunFolder) -> None:
    before = describe_trials(run)
    edit(run, "name", "another")
    with pytest.raises(InputError, match=r"names the study another, but .* here is tiny"):
        resume(run)
    assert describe_trials(run) == before


def test_a_lost_file_is_written_anew_from_the_record(run: RunFolder) -> None:
    before = describe_trials(run)
    run.study_file.unlink()
    options = RunOptions(data_dir=NO_DATA, engine="serial")
    resume_study(run, options)
    assert describe_trials(run) == before
    assert run.load().spec.training.epochs == 1
    edit(run, "training.epochs", 7)
    with pytest.raises(InputError, match=r"training\.epochs"):
        resume_study(run, options)


@pytest.mark.parametrize(
    "record", [None, "", "[]", "7", '{"unheard": "of"}', 7, {"training": {}}, "[" * 100_000]
)
def test_a_record_that_cannot_be_read_is_compared_with_nothing(
    run: RunFolder, record: object
) -> None:
    check_unchanged(record, run.load().spec, run.study_file)
