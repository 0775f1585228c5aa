"""A finalist does not train again what its search trial trained, and ends as if it had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.study import Study
from small_studies import describe_trials, read_trials, run_study

from searchlab.config.trained_folds import FoldMetrics
from searchlab.config.trial import TrialConfig
from searchlab.records import trial_record as attr
from searchlab.records.run_folder import RunFolder
from searchlab.report.leaderboard import Row, build_leaderboard
from searchlab.report.reading import read_study
from searchlab.study.trained_folds import take_over_folds
from searchlab.training.checkpoint import model_path
from searchlab.training.held_out import HeldOut, held_out_path, read_held_out
from searchlab.training.member import Member

ONE_FINALIST: dict[str, Any] = {
    "search": {"trials": 2, "pruner": "none"},
    "baselines": {"architectures": []},
    "confirm": {"top": 1},
}
FINALIST = 2
TAKE_OVER = "searchlab.study.ledger.take_over_folds"


def read_curves(run: RunFolder) -> list[dict[str, Any]]:
    recorded = [trial.system_attrs[attr.CURVES] for trial in read_trials(run)]
    return [{name: curves[name] for name in curves if name != "seconds"} for curves in recorded]


def read_rows(run: RunFolder) -> list[Row]:
    reading = read_study(run, None)
    board = build_leaderboard(reading.records, reading.spec, show_all=True)
    return [replace(row, seconds=0.0) for row in board.rows]


def read_predictions(run: RunFolder) -> HeldOut:
    path = held_out_path(run.models, FINALIST)
    found = read_held_out(path, num_images=1437, num_classes=10)
    assert found is not None
    return found


def test_it_is_to_the_bit_one_that_trains_every_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, int | None]] = []
    train_epoch = Member.train_epoch

    def note(member: Member, epoch: int) -> dict[str, float]:
        trained.append((member._config.role, member.fold))
        return train_epoch(member, epoch)

    monkeypatch.setattr(Member, "train_epoch", note)
    taken = run_study(tmp_path / "taken", "serial", **ONE_FINALIST)
    assert trained == [("search", 0)] * 8 + [("finalist", 1), ("finalist", None)] * 4
    monkeypatch.setattr(TAKE_OVER, lambda _study, config, _known: config)
    trained.clear()
    anew = run_study(tmp_path / "anew", "serial", **ONE_FINALIST)
    assert ("finalist", 0) in trained
    assert describe_trials(taken) == describe_trials(anew)
    assert read_curves(taken) == read_curves(anew)
    assert read_rows(taken) == read_rows(anew)
    weights = [model_path(run.models, FINALIST).read_bytes() for run in (taken, anew)]
    assert weights[0] == weights[1]
    some, whole = read_predictions(taken), read_predictions(anew)
    assert len(some.indices) < len(whole.indices) == 1437, "of the fold that it trained itself"
    of_both = np.isin(whole.indices, some.indices)
    assert (whole.log_probabilities[of_both] == some.log_probabilities).all()


@pytest.mark.slow
def test_a_ray_worker_gets_the_epochs_of_the_search_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_ray: None
) -> None:
    def take_over_marked(study: Study, config: TrialConfig, known: Mapping[str, Any]) -> Any:
        config = take_over_folds(study, config, known)
        if config.trained is None:
            return config
        epochs = tuple(tuple(map(mark, folds)) for folds in config.trained.epochs)
        return replace(config, trained=replace(config.trained, epochs=epochs))

    def mark(fold: FoldMetrics) -> FoldMetrics:
        return replace(fold, training={**fold.training, "loss": 77.5})

    monkeypatch.setattr(TAKE_OVER, take_over_marked)
    run = run_study(tmp_path, "tune", **ONE_FINALIST)
    losses = read_trials(run)[FINALIST].system_attrs[attr.CURVES]["train_loss"]
    assert [77.5 in fold for fold in losses] == [True, False]
