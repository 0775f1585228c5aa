"""A finalist gets the epochs of its search trial's folds, if the record holds them to the bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from ledger_driving import MACHINE, make_result, make_spec, open_ledger, open_study, run_to_end
from optuna.trial import FrozenTrial, TrialState

from searchlab.config.trial import TrialConfig
from searchlab.records import trial_record as attr
from searchlab.study.trained_folds import read_trained_folds


def _run() -> tuple[list[TrialConfig], list[FrozenTrial]]:
    spec = make_spec(search={"trials": 3}, confirm={"top": 1})
    study = open_study(spec)
    return run_to_end(open_ledger(spec, study)), study.trials


@pytest.fixture(scope="module")
def finalist_and_searched() -> tuple[TrialConfig, FrozenTrial]:
    asked, trials = _run()
    return asked[-1], trials[trials[-1].user_attrs[attr.FINALIST_OF]]


def test_a_finalist_gets_every_epoch_of_its_search_trial_and_no_other_trial_any(
    finalist_and_searched: tuple[TrialConfig, FrozenTrial],
) -> None:
    asked, _ = _run()
    finalist, searched = finalist_and_searched
    assert [config.trained is not None for config in asked] == [False] * 5 + [True]
    assert finalist.trained is not None
    assert finalist.trained.machine == MACHINE
    assert finalist.folds_to_train == (2,)
    assert finalist.num_models == 2
    config = next(config for config in asked if config.number == searched.number)
    results = [make_result(config, epoch) for epoch in range(1, config.settings.epochs + 1)]
    assert list(finalist.trained.epochs) == [result.folds for result in results]
    assert TrialConfig.from_json(finalist.to_json()) == finalist


def _end_early(trial: FrozenTrial) -> None:
    trial.user_attrs[attr.EPOCHS] -= 1


def _prune(trial: FrozenTrial) -> None:
    trial.state = TrialState.PRUNED


def _interrupt(trial: FrozenTrial) -> None:
    trial.system_attrs[attr.INTERRUPTIONS] = {"taken_up": 1}


def _split_batches(trial: FrozenTrial) -> None:
    trial.user_attrs[attr.BATCH_SPLIT] = 4


def _forget_machine(trial: FrozenTrial) -> None:
    del trial.system_attrs[attr.MACHINES]


def _change_machine(trial: FrozenTrial) -> None:
    trial.system_attrs[attr.MACHINES].append(asdict(replace(MACHINE, num_threads=2)))


def _round(trial: FrozenTrial) -> None:
    curves = trial.system_attrs[attr.CURVES]
    for name in curves.keys() - {"seconds"}:
        curves[name] = [[round(figure, 6) for figure in fold] for fold in curves[name]]


def _drop_fold(trial: FrozenTrial) -> None:
    trial.system_attrs[attr.CURVES]["validation_loss"].pop()


def _drop_curves(trial: FrozenTrial) -> None:
    del trial.system_attrs[attr.CURVES]


@pytest.mark.parametrize(
    "change",
    [
        _end_early,
        _prune,
        _interrupt,
        _split_batches,
        _forget_machine,
        _change_machine,
        _round,
        _drop_fold,
        _drop_curves,
    ],
)
def test_it_gets_none_where_the_record_does_not_show_that_they_are_its_own(
    finalist_and_searched: tuple[TrialConfig, FrozenTrial], change: Callable[[FrozenTrial], Any]
) -> None:
    finalist, searched = finalist_and_searched
    assert read_trained_folds(searched, finalist) == finalist.trained
    changed = copy.deepcopy(searched)
    change(changed)
    assert read_trained_folds(changed, finalist) is None
