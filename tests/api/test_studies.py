"""Studies run, resumed and read from Python, as a script does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
import yaml
from small_studies import STUDY

import searchlab
from searchlab.data import load_dataset

SMALL: dict[str, Any] = {
    **STUDY,
    "training": {"epochs": 2, "batch_size": 256},
    "baselines": {"architectures": ["a2"], "schemes": ["DT"]},
    "confirm": {"top": 1, "repeats": 2},
}


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(runs_dir: Path) -> searchlab.Run:
    return searchlab.run_study(
        SMALL,
        search={"trials": 3, "pruner": "none"},
        engine="serial",
        runs_dir=runs_dir,
        progress=False,
    )


def test_a_study_of_a_dict_runs_with_sections_changed_entry_by_entry(run: searchlab.Run) -> None:
    assert (run.name, run.state) == ("tiny", "finished")
    assert repr(run) == "<searchlab.Run tiny: finished, 9 trials>"
    study = yaml.safe_load((run.path / "study.yaml").read_text())
    assert study["search"]["trials"] == 3
    assert study["search"]["seed"] == STUDY["search"]["seed"], "the section's other entries stay"


def test_trials_are_a_table_with_a_line_for_each(run: searchlab.Run) -> None:
    trials = run.trials
    assert list(trials["number"]) == [*range(9)]
    roles = ["baseline", *["search"] * 3, "finalist", *["confirmation"] * 4]
    assert list(trials["role"]) == roles
    assert trials["accuracy"][:5].between(0, 1).all()
    assert trials["params.lr"].dtype == float
    assert trials["test_accuracy"].notna().tolist() == [role != "search" for role in roles]
    assert "robust_accuracy" not in trials, "nothing measured it"


def test_epochs_are_a_table_with_a_line_for_each_fold_and_epoch(run: searchlab.Run) -> None:
    epochs = run.epochs
    assert epochs.groupby("trial").size().tolist() == [4, 2, 2, 2, 4]
    assert epochs["epoch"].isin([1, 2]).all()
    first = epochs[(epochs.trial == 4) & (epochs.fold == 0)]["validation_accuracy"]
    assert first.max() == pytest.approx(run.trial(4).value, abs=1e-6)


def test_the_leaderboard_has_the_rows_of_the_command(run: searchlab.Run) -> None:
    board = run.leaderboard
    assert board["rank"].dropna().tolist() == [1, 2]
    repeated = run.optuna_study.trials[4].user_attrs["finalist_of"]
    assert set(board["number"]) == {0, 1, 2, 3, 4} - {repeated}
    assert board["cv_mean"].dropna().is_monotonic_decreasing


def test_the_verdict_and_the_best_trial_are_those_of_the_commands(run: searchlab.Run) -> None:
    assert run.verdict.text
    best = run.best
    assert best.number == run.leaderboard["number"][0]
    assert best.state == "COMPLETE"
    assert best.config.model.family == best.params["family"]
    assert best.config.settings.epochs == 2
    assert best.figures["accuracy"] == best.value
    assert "accuracy" in best.test_figures


def test_the_optuna_study_is_one_that_optuna_reads(run: searchlab.Run) -> None:
    study = run.optuna_study
    assert isinstance(study, optuna.study.Study)
    assert [trial.number for trial in study.trials] == [*range(9)]
    own = [trial for trial in study.trials if trial.user_attrs["role"] in ("search", "baseline")]
    assert study.best_value == max(trial.value or 0 for trial in own), "no finalist repeats it"


def test_the_loaded_model_answers_the_test_images_as_recorded(run: searchlab.Run) -> None:
    trial = run.trial(4)
    model, classes = trial.load_model()
    assert not model.training
    assert classes == tuple("0123456789")
    digits = load_dataset("digits", Path("unused"))
    answers = model(torch.from_numpy(digits.test_images)).argmax(1).numpy()
    assert (answers == digits.test_labels).mean() == trial.test_figures["accuracy"]


def test_trials_without_weights_have_no_model(run: searchlab.Run, runs_dir: Path) -> None:
    with pytest.raises(searchlab.InputError, match="is a search trial, whose weights are not kept"):
        run.trial(1).load_model()


def test_a_run_is_loaded_by_name_and_by_folder(run: searchlab.Run, runs_dir: Path) -> None:
    for loaded in (searchlab.load_run("tiny", runs_dir=runs_dir), searchlab.load_run(run.path)):
        assert loaded.path == run.path
        assert loaded.trials.equals(run.trials)


def test_a_finished_study_is_resumed_with_more_trials(tmp_path: Path) -> None:
    options: dict[str, Any] = {"engine": "serial", "runs_dir": tmp_path, "progress": False}
    changes = {"training": {"epochs": 1}, "baselines": {"architectures": []}}
    run = searchlab.run_study(SMALL, **changes, search={"trials": 1}, confirm={"top": 0}, **options)
    more = searchlab.resume_study(run, search={"trials": 2}, engine="serial", progress=False)
    assert (len(run.trials), len(more.trials)) == (1, 2)
    again = searchlab.run_study(
        SMALL, **changes, search={"trials": 1}, confirm={"top": 0}, replace=True, **options
    )
    assert len(again.trials) == 1


@pytest.mark.parametrize(
    ("changes", "pieces"),
    [
        ({"search": {"trials": -1}}, ["search.trials must be"]),
        ({"serch": {"trials": 3}}, ["serch is not a known field", "search"]),
        ({"search": {"trials": object()}}, ["search.trials must be a number, a text"]),
        ({"search": {3: 4}}, ["search must have texts as keys, got 3"]),
        ({"preset": "quick"}, ["must be a preset of the study"]),
        ({"engine": "spark"}, ["engine must be tune or serial, got 'spark'"]),
        ({"engine": "serial", "address": "auto"}, ["address needs Ray"]),
    ],
)
def test_bad_input_is_an_input_error_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], pieces: list[str]
) -> None:
    with pytest.raises(searchlab.InputError) as caught:
        searchlab.run_study(SMALL, runs_dir=tmp_path / "runs", progress=False, **changes)
    for piece in pieces:
        assert piece in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_an_input_error(run: searchlab.Run, tmp_path: Path) -> None:
    with pytest.raises(searchlab.InputError, match="is not a run folder"):
        searchlab.load_run("other", runs_dir=tmp_path)
    with pytest.raises(searchlab.InputError, match="must be a trial of tiny, got 99"):
        run.trial(99)
    with pytest.raises(searchlab.InputError, match=r"can change only search\.trials"):
        searchlab.resume_study(run, search={"seed": 4})
    with pytest.raises(searchlab.InputError, match="does not exist"):
        searchlab.run_study(tmp_path / "none.yaml", runs_dir=tmp_path)


def test_values_of_numpy_and_paths_are_taken(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(yaml.safe_dump(STUDY["space"]))
    with pytest.raises(searchlab.InputError, match=r"training\.lr must be a number"):
        searchlab.run_study(
            {**SMALL, "space": space, "search": {"trials": np.int64(1)}},
            training={"lr": np.float64("nan")},
            runs_dir=tmp_path / "runs",
            progress=False,
        )
