"""``weights: run:NAME``: a study that starts from the weights of an earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from toy_runs import make_toy

import searchlab
from searchlab.config.loading import StudyFile, study_from_data
from searchlab.errors import InputError
from searchlab.report.run_weights import with_run_weights
from searchlab.training.trial_files import model_path


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """A folder with the run ``toy`` on digits: two search trials, and the model of baseline 3."""
    run = make_toy(tmp_path)
    study = optuna.load_study(study_name=None, storage=run.storage_url(None))
    study.add_trial(
        create_trial(
            state=TrialState.COMPLETE, value=0.9, user_attrs={"role": "baseline", "label": "a2/DT"}
        )
    )
    model_path(run.models, 3).write_bytes(b"weights")
    return tmp_path


def make_study(weights: Any, dataset: str = "usps") -> StudyFile:
    family = {"resnet": {"variant": 18, "weights": weights}}
    space = {"parameters": {"lr": 0.1, "family": family}}
    return study_from_data(
        {"name": "new", "dataset": {"name": dataset}, "space": space, "search": {"trials": 2}}
    )


def test_a_run_stands_for_the_file_of_its_trials_model(runs_dir: Path) -> None:
    file, lines = with_run_weights(make_study(["none", "run:toy#3"]), runs_dir)
    path = str(model_path(runs_dir / "toy" / "artifacts" / "models", 3))
    assert f"'none', '{path}'" in repr(file.spec.space)
    assert lines == ["weights of toy: trial #3 a2/DT"]


def test_other_weights_stay_as_they_are(runs_dir: Path) -> None:
    study = make_study("imagenet")
    assert with_run_weights(study, runs_dir) == (study, [])


@pytest.mark.parametrize(
    ("weights", "dataset", "message"),
    [
        ("run:toy", "usps", "run:toy: the run .* is not finished, so its winner is not known"),
        ("run:toy#0", "usps", "trial #0 cnn is a search trial, whose weights are not kept"),
        ("run:toy#7", "usps", "#7"),
        ("run:toi", "usps", "run:toi: toi is not a run folder .* Did you mean toy"),
        ("run:toy#best", "usps", "run:toy#best: weights of a run are written run:NAME"),
        ("run:", "usps", "weights of a run are written run:NAME"),
        ("run:toy#3", "digits", "trained on digits too, so it has seen the images of this study's"),
    ],
)
def test_weights_that_cannot_serve_are_refused_at_their_place(
    weights: str, dataset: str, message: str, runs_dir: Path
) -> None:
    with pytest.raises(InputError, match=message) as refused:
        with_run_weights(make_study(weights, dataset), runs_dir)
    assert "space.parameters.family.resnet.weights" in str(refused.value)


@pytest.mark.slow
def test_a_study_starts_from_the_winner_of_another(tmp_path: Path, real_root: Path) -> None:
    zoo = {"model": "mobilenet_v3_small"}
    study: dict[str, Any] = {
        "name": "first",
        "dataset": {"name": "digits", "limit": 120},
        "space": {"parameters": {"lr": 1e-3, "family": {"torchvision": zoo}}},
        "search": {"sampler": "random", "trials": 1},
        "training": {"epochs": 1},
        "validation": {"folds": 2, "search_folds": 1},
        "baselines": {"architectures": []},
        "confirm": {"repeats": 0},
    }
    places: dict[str, Any] = {"runs_dir": tmp_path, "data_dir": real_root, "engine": "serial"}
    first = searchlab.run_study(study, progress=False, **places)
    zoo["weights"] = "run:first"
    study |= {"name": "second", "dataset": {"name": "usps", "limit": 60}}
    second = searchlab.run_study(study, progress=False, **places)
    winner = first.best
    assert winner is not None
    path = model_path(first.path / "artifacts" / "models", winner.number)
    assert f"weights: {path}\n" in (second.path / "study.yaml").read_text()
    assert second.best is not None
