"""A finalist that takes folds over from its search trial is, to the bit, one that trains them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.attacks import AttackSpec
from searchlab.config.trained_folds import TrainedFolds
from searchlab.config.trial import FoldPlan, TrialConfig
from searchlab.training.checkpoint_files import model_path
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.machine import describe_machine
from searchlab.training.member import Member
from searchlab.training.memory import note_killed_for_memory
from searchlab.training.results import EpochResult
from searchlab.training.run import TrialFolders, TrialRun

NUM_EPOCHS = 3


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits(every=5)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The folds that any member trained, an epoch each, in order."""
    seen: list[int | None] = []
    train_epoch = Member.train_epoch

    def note(member: Member, epoch: int, **options: Any) -> dict[str, float]:
        seen.append(member.fold)
        return train_epoch(member, epoch, **options)

    monkeypatch.setattr(Member, "train_epoch", note)
    return seen


def make_finalist(*, folds: int = 3, search_folds: int = 2, **changes: Any) -> TrialConfig:
    plan = FoldPlan(num_folds=5, folds=tuple(range(folds)), search_folds=search_folds, test=True)
    return make_trial(**{"role": "finalist", "epochs": NUM_EPOCHS, "folds": plan, **changes})


def run_all(cohort: Cohort) -> list[EpochResult]:
    results = [cohort.run_epoch()]
    while not results[-1].done:
        results.append(cohort.run_epoch())
    return results


def with_search_folds(finalist: TrialConfig, digits: TrainingData) -> TrialConfig:
    """Train the search trial of a finalist, and have the finalist take its folds over."""
    searched = finalist.folds.folds[: finalist.folds.search_folds]
    plan = replace(finalist.folds, folds=searched, test=False)
    results = run_all(Cohort(replace(finalist, role="search", folds=plan), digits))
    machine = describe_machine(digits.device)
    epochs = tuple(result.folds for result in results)
    return replace(finalist, trained=TrainedFolds(machine=machine, epochs=epochs))


def make_folders(folder: Path) -> TrialFolders:
    folder.mkdir(exist_ok=True)
    return TrialFolders(
        checkpoints=folder / "checkpoints", models=folder / "models", checkpoint_seconds=1e9
    )


def finish(trial: TrialConfig, digits: TrainingData, folder: Path) -> list[EpochResult]:
    run = TrialRun(trial, digits, make_folders(folder))
    results = [run.step()]
    while not results[-1].done:
        results.append(run.step())
    return [replace(untimed(result), replayed=False) for result in results]


def read_model(folder: Path) -> bytes:
    return model_path(folder / "models", 7).read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"search_folds": 3},
        {"robustness": AttackSpec(epsilon=0.05), "measures": ("macro_f1",)},
    ],
    ids=["some folds", "all folds", "attacked"],
)
def test_it_ends_with_the_results_and_the_model_of_one_that_trains_them_again(
    digits: TrainingData, tmp_path: Path, trained: list[int | None], changes: dict[str, Any]
) -> None:
    finalist = make_finalist(**changes)
    taking_over = TrialConfig.from_json(with_search_folds(finalist, digits).to_json())
    trained.clear()
    results = finish(taking_over, digits, tmp_path / "taken")
    left = [2, None] if finalist.folds.search_folds == 2 else [None]
    assert trained == left * len(results)
    assert results == finish(finalist, digits, tmp_path / "anew")
    assert read_model(tmp_path / "taken") == read_model(tmp_path / "anew")


def test_it_goes_on_from_a_checkpoint_without_training_them(
    digits: TrainingData, tmp_path: Path, trained: list[int | None]
) -> None:
    finalist = with_search_folds(make_finalist(), digits)
    expected = finish(finalist, digits, tmp_path / "whole")
    stopped = TrialRun(finalist, digits, make_folders(tmp_path))
    stopped.step()
    stopped.save()
    trained.clear()
    assert finish(finalist, digits, tmp_path) == expected
    assert trained == [2, None] * (NUM_EPOCHS - 1)
    assert read_model(tmp_path) == read_model(tmp_path / "whole")


def test_on_another_machine_all_folds_are_trained_and_no_checkpoint_of_the_first_is_taken(
    digits: TrainingData, tmp_path: Path, trained: list[int | None]
) -> None:
    finalist = with_search_folds(make_finalist(), digits)
    assert finalist.trained is not None
    stopped = TrialRun(finalist, digits, make_folders(tmp_path))
    stopped.step()
    stopped.save()
    trained.clear()
    other = replace(finalist.trained, machine=replace(finalist.trained.machine, torch="2.14"))
    finish(replace(finalist, trained=other), digits, tmp_path)
    assert trained == [0, 1, 2, None] * NUM_EPOCHS


def test_with_split_batches_all_folds_are_trained(
    digits: TrainingData, tmp_path: Path, trained: list[int | None]
) -> None:
    finalist = with_search_folds(make_finalist(), digits)
    folders = make_folders(tmp_path)
    folders.checkpoints.mkdir(parents=True)
    note_killed_for_memory(folders.checkpoints, finalist.number)
    trained.clear()
    results = finish(finalist, digits, tmp_path)
    assert trained == [0, 1, 2, None] * NUM_EPOCHS
    assert {result.batch_split for result in results} == {4}
