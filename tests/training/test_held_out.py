"""The predictions of held-out images that a trial's folds leave beside its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from trial_configs import load_digits, make_trial

from searchlab.config.trained_folds import TrainedFolds
from searchlab.config.trial import FoldPlan, ObjectiveConfig, TrialConfig
from searchlab.errors import InputError
from searchlab.training import held_out as held_out_module
from searchlab.training.checkpoint_files import model_path
from searchlab.training.cohort import Cohort
from searchlab.training.evaluation import Evaluator
from searchlab.training.held_out import HeldOut, held_out_path, read_held_out
from searchlab.training.images import TrainingData
from searchlab.training.machine import describe_machine
from searchlab.training.member import Member
from searchlab.training.results import EpochResult
from searchlab.training.run import TrialFolders, TrialRun

NUMBER = 7
# The trial's best epoch is then its first, whose accuracy is the least.
WORST = ObjectiveConfig(direction="minimize")


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=5)


def finish(
    trial: TrialConfig, digits: TrainingData, folder: Path, *, steps: int | None = None
) -> EpochResult:
    """Run a trial to its end, or stop and save it after some steps."""
    folders = TrialFolders(
        checkpoints=folder / "checkpoints", models=folder / "models", checkpoint_seconds=1e9
    )
    folder.mkdir(exist_ok=True)
    run = TrialRun(trial, digits, folders)
    result = run.step()
    while not result.done and steps != 1:
        result = run.step()
        steps = None if steps is None else steps - 1
    if not result.done:
        run.save()
    return result


def read(folder: Path, digits: TrainingData) -> HeldOut | None:
    return read_held_out(
        held_out_path(folder / "models", NUMBER),
        num_images=len(digits.train_labels),
        num_classes=digits.num_classes,
    )


@pytest.mark.parametrize(
    ("objective", "best"), [(WORST, 1), (ObjectiveConfig(at="last"), 2)], ids=["best", "last"]
)
def test_the_predictions_are_those_whose_figures_the_folds_recorded(
    digits: TrainingData, tmp_path: Path, objective: ObjectiveConfig, best: int
) -> None:
    result = finish(make_trial(epochs=2, objective=objective), digits, tmp_path)
    assert result.fold_epoch == best
    found = read(tmp_path, digits)
    assert found is not None
    assert found.indices.tolist() == sorted(np.concatenate(digits.folds[:2]).tolist())
    right = found.log_probabilities.argmax(1) == digits.train_labels.numpy()[found.indices]
    for fold, accuracy in enumerate(result.fold_values):
        assert right[np.isin(found.indices, digits.folds[fold])].mean() == pytest.approx(accuracy)
    assert np.exp(found.log_probabilities).sum(1) == pytest.approx(1.0, abs=2e-3)
    own = found.log_probabilities[np.arange(len(right)), digits.train_labels.numpy()[found.indices]]
    if best == result.epoch:
        losses = [fold.validation["loss"] for fold in result.folds]
        assert -own.mean() == pytest.approx(np.mean(losses), rel=1e-3)


@pytest.mark.parametrize("objective", [WORST, ObjectiveConfig()], ids=["first", "later"])
def test_a_trial_that_was_stopped_leaves_the_same_file(
    digits: TrainingData, tmp_path: Path, objective: ObjectiveConfig
) -> None:
    trial = make_trial(epochs=3, objective=objective)
    finish(trial, digits, tmp_path / "whole")
    finish(trial, digits, tmp_path / "stopped", steps=1)
    finish(trial, digits, tmp_path / "stopped")
    files = [
        held_out_path(tmp_path / name / "models", NUMBER).read_bytes()
        for name in ("whole", "stopped")
    ]
    assert files[0] == files[1]


def test_a_checkpoint_of_an_earlier_version_leaves_none_or_those_of_a_later_epoch(
    digits: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for objective, is_left in ((WORST, False), (ObjectiveConfig(at="last"), True)):
        trial = make_trial(epochs=2, objective=objective)
        folder = tmp_path / objective.at
        with monkeypatch.context() as patch:
            patch.setattr(Cohort, "_keeps_predictions", False)
            finish(trial, digits, folder, steps=1)
        assert finish(trial, digits, folder).done
        assert (read(folder, digits) is not None) == is_left


def test_they_do_not_change_what_is_trained(
    digits: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(make_trial(epochs=1), digits, tmp_path / "with")
    monkeypatch.setattr(held_out_module, "_MOST_BYTES", 0)
    finish(make_trial(epochs=1), digits, tmp_path / "without")
    assert read(tmp_path / "without", digits) is None
    models = [model_path(tmp_path / name / "models", NUMBER) for name in ("with", "without")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_no_image_is_answered_twice_in_an_epoch(
    digits: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[int | None] = []
    answer = Member._answer

    def note(member: Member, *arguments: Any) -> Any:
        answered.append(member.fold)
        return answer(member, *arguments)

    monkeypatch.setattr(Member, "_answer", note)
    finish(make_trial(epochs=2), digits, tmp_path)
    assert answered == [0, 1, 0, 1, None]


@pytest.mark.parametrize(
    "folds",
    [
        FoldPlan(num_folds=5, folds=(0, 1), search_folds=2, test=False),
        FoldPlan(num_folds=5, folds=(), search_folds=0, test=True),
    ],
    ids=["search", "confirmation"],
)
def test_other_trials_keep_none(digits: TrainingData, tmp_path: Path, folds: FoldPlan) -> None:
    finish(make_trial(folds=folds, epochs=1), digits, tmp_path)
    assert read(tmp_path, digits) is None


GOOD: Mapping[str, torch.Tensor] = {
    "indices": torch.tensor([1, 3], dtype=torch.int32),
    "logits": torch.full((2, 3), -1.1).half(),
}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"nothing of the kind", "header"),
        ({}, "indices"),
        ({**GOOD, "indices": torch.tensor([1])}, "shapes"),
        ({**GOOD, "logits": torch.zeros(2, 4)}, "with 3 classes"),
        ({**GOOD, "indices": torch.tensor([3, 3])}, "each once"),
        ({**GOOD, "indices": torch.tensor([-1, 3])}, "each once"),
        ({**GOOD, "indices": torch.tensor([1, 9])}, "each once"),
        ({"indices": torch.zeros(0), "logits": torch.zeros(0, 3)}, "each once"),
        ({**GOOD, "logits": torch.full((2, 3), torch.nan)}, "not finite"),
    ],
)
def test_a_file_of_something_else_is_refused(
    tmp_path: Path, content: bytes | dict[str, torch.Tensor], reason: str
) -> None:
    path = held_out_path(tmp_path, NUMBER)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save_file(content, path)
    with pytest.raises(InputError, match=reason) as error:
        read_held_out(path, num_images=9, num_classes=3)
    assert str(error.value).startswith(f"{path} does not hold a trial's predictions")


def test_a_very_sure_model_has_finite_log_probabilities(
    digits: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = Evaluator.predict
    monkeypatch.setattr(Evaluator, "predict", lambda asked, inputs: predict(asked, inputs) * 1e6)
    finish(make_trial(epochs=1, clip_norm=1e-9), digits, tmp_path)
    found = read(tmp_path, digits)
    assert found is not None
    assert found.log_probabilities.min() < -1e4


def test_images_of_folds_that_were_taken_over_have_none(
    digits: TrainingData, tmp_path: Path
) -> None:
    trial = make_trial(epochs=1)
    folds = Cohort(trial, digits).run_epoch().folds
    trained = TrainedFolds(machine=describe_machine(digits.device), epochs=(folds[:1],))
    finish(replace(trial, trained=trained), digits, tmp_path)
    found = read(tmp_path, digits)
    assert found is not None
    assert found.indices.tolist() == digits.folds[1].tolist()
