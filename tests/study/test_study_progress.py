"""Counts, bests and forecasts follow from the study's finished trials, whoever ran them."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_driving import make_result, make_spec, open_ledger, open_study, run_to_end, train

from searchlab.config.trial import ROLES, TrialConfig
from searchlab.study.callbacks import ProgressSnapshot
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail


def train_some(ledger: Ledger, config: TrialConfig) -> None:
    """Let trial 3 fail, and the worker of trial 4 die for good, which has it replaced."""
    if config.number == 3:
        ledger.tell(config.number, fail("RuntimeError: no"))
    elif config.number == 4:
        ledger.tell(config.number, fail("its host was lost", "lost"))
    else:
        train(ledger, config)


def derived(snapshot: ProgressSnapshot) -> tuple[object, ...]:
    return snapshot.counts, snapshot.best_search, snapshot.best_baseline, snapshot.stage


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_counts_and_bests_are_those_of_the_recorded_trials(metric: str) -> None:
    spec = make_spec(objective={"metric": metric})
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    run_to_end(ledger, train_some)
    snapshot = ledger.snapshot()
    counted = [trial for trial in study.trials if trial.number != 4]
    for role in ROLES:
        states = [trial.state.name for trial in counted if trial.user_attrs["role"] == role]
        counts = snapshot.counts[role]
        assert counts.total == counts.ended == len(states)
        assert counts.complete == states.count("COMPLETE")
        assert counts.failed == states.count("FAIL")
    choose = max if metric == "accuracy" else min
    for role, best in (("search", snapshot.best_search), ("baseline", snapshot.best_baseline)):
        values = [t.value for t in counted if t.user_attrs["role"] == role and t.value is not None]
        assert best is not None
        assert best.value == choose(values)


def test_a_later_driver_derives_the_same_from_the_storage() -> None:
    spec = make_spec()
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    for _ in range(7):
        config = ledger.ask()
        assert config is not None
        train_some(ledger, config)
    expected = derived(ledger.snapshot())
    assert derived(open_ledger(spec, study).snapshot()) == expected


def test_a_trial_that_is_given_back_is_not_running() -> None:
    ledger = open_ledger(make_spec())
    config = ledger.ask()
    assert config is not None
    ledger.report(make_result(config, 1))
    [running] = ledger.snapshot().running
    assert (running.number, running.epoch) == (config.number, 1)
    ledger.note_worker_lost(config.number, "its worker died")
    assert ledger.snapshot().running == ()


def test_a_study_that_is_stopping_forecasts_nothing() -> None:
    ledger = open_ledger(make_spec())
    for _ in range(4):
        config = ledger.ask()
        assert config is not None
        train(ledger, config)
    assert ledger.snapshot().remaining is not None
    assert ledger.snapshot(stopping=True).remaining is None


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({}, "finalist"),
        ({"confirm": {"top": 0}}, "search"),
        ({"search": {"trials": 0}}, "baseline"),
    ],
)
def test_the_last_stage_is_one_that_the_study_has(changes: dict[str, Any], last: str) -> None:
    ledger = open_ledger(make_spec(**changes))
    run_to_end(ledger)
    assert ledger.snapshot().stage == last
