"""The best finalist and the best baseline are trained again, on all training images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ledger_driving import (
    ANSWERS,
    make_result,
    make_spec,
    open_ledger,
    open_study,
    run_to_end,
    train,
)
from small_studies import PUBLISHED

from searchlab.config.study import StudySpec
from searchlab.config.trial import TrialConfig
from searchlab.records import trial_record as attr
from searchlab.records.trial_record import TrialRecord
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail
from searchlab.study.plan import choose_rivals

REPEATS: dict[str, Any] = {"confirm": {"repeats": 3}}


def _confirmations(configs: list[TrialConfig]) -> list[TrialConfig]:
    return [config for config in configs if config.role == "confirmation"]


def _run(spec: StudySpec) -> tuple[list[TrialConfig], Ledger]:
    ledger = open_ledger(spec)
    return run_to_end(ledger), ledger


def test_both_rivals_are_trained_again_with_draws_of_their_own() -> None:
    asked, ledger = _run(make_spec(**REPEATS))
    rivals = choose_rivals(ledger.spec, ledger.records)
    assert rivals is not None
    by_number = {config.number: config for config in asked}
    repeats = _confirmations(asked)
    assert asked[-6:] == repeats
    assert len(repeats) == 6
    records = {record.number: record for record in ledger.records}
    for rival in (rivals.finalist, rivals.baseline):
        again = [one for one in repeats if records[one.number].confirmation_of == rival.number]
        assert [one.repeat for one in again] == [1, 2, 3]
        for config in again:
            first = by_number[rival.number]
            assert (config.model, config.settings) == (first.model, first.settings)
            assert config.folds.folds == ()
            assert config.folds.test
            assert config.last_epoch == rival.fold_epoch


def test_the_rivals_are_the_best_by_the_mean_of_all_folds() -> None:
    _, ledger = _run(make_spec(**REPEATS))
    best = {
        role: max(sum(one.fold_values) for one in ledger.records if one.role == role)
        for role in ("finalist", "baseline")
    }
    rivals = choose_rivals(ledger.spec, ledger.records)
    assert rivals is not None
    assert sum(rivals.finalist.fold_values) == best["finalist"]
    assert sum(rivals.baseline.fold_values) == best["baseline"]


@pytest.mark.parametrize(
    "objective",
    [
        {"metric": "accuracy", "direction": "maximize"},
        [{"metric": "loss", "direction": "minimize"}],
        [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "parameters", "direction": "minimize"},
        ],
    ],
    ids=["accuracy", "loss", "several"],
)
def test_the_best_trial_of_plain_optuna_repeats_no_other(objective: Any) -> None:
    spec = make_spec(**REPEATS, objective=objective)
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    best = study.best_trials if len(spec.objective) > 1 else [study.best_trial]
    assert {trial.user_attrs[attr.ROLE] for trial in best} <= {"search", "baseline"}
    for trial in study.trials:
        is_repeat = trial.user_attrs[attr.ROLE] in ("finalist", "confirmation")
        assert trial.constraints == ({attr.REPEATS: 1.0} if is_repeat else {})


def test_a_trial_taken_up_again_keeps_what_it_is_to_plain_optuna(
    recwarn: pytest.WarningsRecorder,
) -> None:
    spec = make_spec(**REPEATS)
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    while (config := ledger.ask()) is not None and config.role != "finalist":
        train(ledger, config)
    assert config is not None
    again = open_ledger(spec, study).ask()
    assert again is not None
    assert again.number == config.number
    assert study.trials[config.number].constraints == {attr.REPEATS: 1.0}
    assert not [one for one in recwarn if "constraint" in str(one.message)]


def test_a_baselines_own_training_is_repeated() -> None:
    row = {"name": "own", "architecture": "a1", "training": {"lr": 0.05, "epochs": 2}}
    baselines = {"architectures": [], "schemes": ["DT"], "rows": [row]}
    asked, _ = _run(make_spec(**REPEATS, baselines=baselines))
    own = [config for config in _confirmations(asked) if config.settings.lr == 0.05]
    assert [config.settings.epochs for config in own] == [2, 2, 2]


def test_they_wait_for_the_last_finalist() -> None:
    ledger = open_ledger(make_spec(**REPEATS))
    live: list[TrialConfig] = []
    while not live or live[-1].role != "finalist":
        config = ledger.ask()
        assert config is not None
        live.append(config)
        if config.role != "finalist":
            train(ledger, config)
    other = ledger.ask()
    assert other is not None
    assert other.role == "finalist"
    train(ledger, live[-1])
    assert ledger.ask() is None
    assert not ledger.is_finished
    train(ledger, other)
    assert {config.role for config in run_to_end(ledger)} == {"confirmation"}


@pytest.mark.parametrize(
    "changes",
    [
        {"confirm": {"repeats": 0}},
        {"confirm": {"repeats": 3, "top": 0}},
        {**REPEATS, "baselines": {"architectures": []}},
        {**REPEATS, "baselines": {"folds": "search"}},
        {**REPEATS, "search": {"trials": 0}},
        {**REPEATS, "changed": {"training.epochs": 20}, "published": PUBLISHED},
    ],
    ids=["not asked for", "no finalist", "no baseline", "search folds", "no search", "quick look"],
)
def test_a_study_without_two_rivals_has_none(changes: dict[str, Any]) -> None:
    asked, ledger = _run(make_spec(**changes))
    assert _confirmations(asked) == []
    assert ledger.snapshot().counts["confirmation"].total == 0


def test_a_rival_without_a_recorded_epoch_is_not_confirmed() -> None:
    spec = make_spec()
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    for trial in study.get_trials(deepcopy=False):  # as they are in memory
        trial.user_attrs.pop(attr.FOLD_EPOCH, None)
    assert run_to_end(open_ledger(make_spec(**REPEATS), study)) == []


def test_more_repeats_continue_a_finished_study() -> None:
    study = open_study(make_spec(**REPEATS))
    run_to_end(open_ledger(make_spec(**REPEATS), study))
    more = run_to_end(open_ledger(make_spec(confirm={"repeats": 5}), study))
    assert sorted(config.repeat for config in more) == [4, 4, 5, 5]
    assert {config.role for config in more} == {"confirmation"}


def test_a_lost_one_is_run_again_as_the_same_repeat() -> None:
    spec = make_spec(**REPEATS)
    study = open_study(spec)
    lost: list[TrialConfig] = []

    def lose_first(ledger: Ledger, config: TrialConfig) -> None:
        if config.role == "confirmation" and not lost:
            lost.append(config)
            ledger.tell(config.number, fail("its host is gone", "lost"))
        else:
            train(ledger, config)

    asked = run_to_end(open_ledger(spec, study), lose_first)
    again = next(config for config in asked if config.number == lost[0].number + 1)
    assert replace(again, number=0) == replace(lost[0], number=0)
    assert len(_confirmations(asked)) == 7


def test_its_answers_and_test_figures_are_recorded() -> None:
    spec = make_spec(**REPEATS)
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    last = study.trials[-1]
    record = TrialRecord.from_trial(last)
    assert last.values == [0.93]
    assert not last.intermediate_values
    assert (record.value, record.values) == (None, ())
    assert record.answers == ANSWERS
    assert record.test_figures["accuracy"] == 0.93
    assert record.fold_values == ()


def test_an_epoch_delivered_again_was_not_trained_again() -> None:
    ledger = open_ledger(make_spec(**REPEATS))
    while (config := ledger.ask()) is not None and config.role != "confirmation":
        train(ledger, config)
    assert config is not None
    config = replace(config, last_epoch=3)
    for _ in range(2):
        ledger.report(make_result(config, 1))
    for epoch in (2, 3):
        ledger.report(make_result(config, epoch))
    ledger.tell(config.number)
    [record] = [one for one in ledger.records if one.number == config.number]
    assert record.interruptions is None
