"""A configuration that the search asks for again is answered from the record, untrained."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_driving import (
    NO_CHECKPOINTS,
    describe_trials,
    make_plan,
    make_result,
    make_spec,
    open_ledger,
    open_study,
    run_to_end,
    train,
)
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial
from test_joined_ledgers import Drivers

from searchlab.config.study import StudySpec
from searchlab.config.trial import TrialConfig
from searchlab.records import trial_record as attr
from searchlab.records.trial_record import TrialRecord
from searchlab.report.leaderboard import build_leaderboard
from searchlab.study.callbacks import EpochEnd, NullCallback, TrialBegin, TrialEnd
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail
from searchlab.study.progress import FinishedTrials
from searchlab.study.trial_events import read_ended

FEW = {"parameters": {"lr": [0.1, 0.01], "batch_size": [64, 128], "family": {"fcn": {"depth": 1}}}}


def _spec(**changes: Any) -> StudySpec:
    search = {"sampler": "random", "trials": 14, **changes.pop("search", {})}
    changes = {"baselines": {"architectures": []}, "confirm": {"top": 3}, **changes}
    return make_spec(space=FEW, search=search, **changes)


def _searched(study: Study) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.user_attrs[attr.ROLE] == "search"]


def _repeats(study: Study) -> list[tuple[FrozenTrial, FrozenTrial]]:
    """Return each trial that was answered from the record, and the one that was trained."""
    trials = study.get_trials(deepcopy=False)
    return [
        (trial, trials[trial.user_attrs[attr.SAME_AS]])
        for trial in trials
        if attr.SAME_AS in trial.user_attrs
    ]


def _without_own(trial: FrozenTrial) -> tuple[Any, ...]:
    attributes = {
        name: value
        for name, value in trial.user_attrs.items()
        if name not in (attr.SAME_AS, attr.SECONDS)
    }
    curves = {**trial.system_attrs.get(attr.CURVES, {}), "seconds": None}
    return trial.state, trial.values, trial.params, trial.intermediate_values, attributes, curves


@pytest.mark.parametrize("pruner", ["none", "median", "hyperband"])
def test_each_configuration_is_trained_once(pruner: str) -> None:
    spec = _spec(search={"pruner": pruner})
    study = open_study(spec)
    asked = [config for config in run_to_end(open_ledger(spec, study)) if config.role == "search"]
    searched = _searched(study)
    assert len(searched) == 14
    assert len(asked) == len({str(trial.params) for trial in searched}) <= 4
    repeats = _repeats(study)
    assert len(repeats) == len(searched) - len(asked)
    for repeat, trained in repeats:
        assert attr.SAME_AS not in trained.user_attrs
        assert _without_own(repeat) == _without_own(trained)
        assert repeat.user_attrs[attr.SECONDS] == 0.0
        assert set(repeat.system_attrs[attr.CURVES]["seconds"]) == {0.0}


def test_the_record_is_that_of_training_each_again(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec()
    answered, trained = open_study(spec), open_study(spec)
    run_to_end(open_ledger(spec, answered))
    monkeypatch.setattr(FinishedTrials, "find_result", lambda *_: None)
    run_to_end(open_ledger(spec, trained))
    assert _repeats(answered)
    assert not _repeats(trained)
    for description in (found := describe_trials(answered)):
        description[-1].pop(attr.SAME_AS, None)
    assert found == describe_trials(trained)


def test_no_configuration_counts_twice() -> None:
    spec = _spec()
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    run_to_end(ledger)
    finalists = [trial for trial in study.trials if trial.user_attrs[attr.ROLE] == "finalist"]
    assert len({str(trial.params) for trial in finalists}) == len(finalists) == 3
    board = build_leaderboard(ledger.records, spec)
    rows = [row for row in board.rows if row.role == "search"]
    assert len({str(row.params) for row in board.rows}) == len(board.rows)
    assert all(row.same_as is None for row in rows)


@pytest.mark.parametrize("end", ["diverged", "failed"])
def test_what_diverged_is_known_and_what_failed_is_tried_again(end: str) -> None:
    spec = _spec(search={"max_failures_in_row": None})
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    num_trained = 0
    while (config := ledger.ask()) is not None and config.role == "search":
        num_trained += 1
        if end == "failed":
            ledger.tell(config.number, fail("broken"))
        else:
            ledger.report(make_result(config, 1))
            ledger.report(make_result(config, 2, folds=(), diverged=True, done=True))
            ledger.tell(config.number)
    assert len(_searched(study)) == 14
    assert num_trained == (14 if end == "failed" else len({str(t.params) for t in study.trials}))
    reasons = {trial.user_attrs[attr.STOP_REASON] for trial in _searched(study)}
    assert reasons == {"error" if end == "failed" else "diverged"}


class _KilledError(Exception):
    """In the place of a kill -9."""


def test_a_resume_answers_too_and_ends_what_a_kill_left(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec()
    whole, stopped = open_study(spec), open_study(spec)
    run_to_end(open_ledger(spec, whole))

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "_end", _end_or_kill)
        with pytest.raises(_KilledError):
            run_to_end(open_ledger(spec, stopped))
    [left] = [trial for trial in stopped.trials if trial.state.name == "RUNNING"]
    assert attr.SAME_AS in left.user_attrs
    run_to_end(open_ledger(spec, stopped))
    assert _without_own(stopped.trials[left.number]) == _without_own(whole.trials[left.number])
    assert describe_trials(stopped) == describe_trials(whole)


_end = Ledger._end


def _end_or_kill(ledger: Ledger, trial: Any, *rest: Any) -> Any:
    if attr.SAME_AS in ledger._study.trials[trial.number].user_attrs:
        raise _KilledError
    return _end(ledger, trial, *rest)


def test_a_trial_that_has_trained_an_epoch_goes_on() -> None:
    spec = _spec()
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    first, second = _ask_twins(ledger)
    ledger.report(make_result(second, 1))
    train(ledger, first)
    assert second.number in {config.number for config in run_to_end(open_ledger(spec, study))}
    assert attr.SAME_AS not in study.trials[second.number].user_attrs


def _ask_twins(ledger: Ledger) -> tuple[TrialConfig, TrialConfig]:
    """Ask until two trials of one configuration are at work."""
    asked: dict[str, TrialConfig] = {}
    while True:
        config = ledger.ask()
        assert config is not None
        key = str((config.model, config.settings))
        if key in asked:
            return asked[key], config
        asked[key] = config


def test_joined_drivers_answer_from_each_others_results() -> None:
    drivers = Drivers(_spec())
    one, other = drivers.join("one"), drivers.join("other")
    num_trained = 0
    while (config := one.ask()) is not None and config.role == "search":
        num_trained += 1
        train(one, config)
        config = other.ask()
        if config is None or config.role != "search":
            break
        num_trained += 1
        train(other, config)
    searched = _searched(drivers.study)
    assert len(searched) == 14
    assert num_trained == len({str(trial.params) for trial in searched})


class _Told(NullCallback):
    def __init__(self) -> None:
        self.events: list[TrialBegin | EpochEnd | TrialEnd] = []

    def begin_trial(self, begin: TrialBegin) -> None:
        self.events.append(begin)

    def end_epoch(self, end: EpochEnd) -> None:
        self.events.append(end)

    def end_trial(self, end: TrialEnd, snapshot: object) -> None:
        self.events.append(end)


def test_callbacks_are_told_what_the_record_says() -> None:
    spec, told = _spec(), _Told()
    study = open_study(spec, InMemoryStorage())
    ledger = Ledger(plan=make_plan(spec), study=study, checkpoints=NO_CHECKPOINTS, callback=told)
    run_to_end(ledger)
    [repeat, *_] = [trial.number for trial, _ in _repeats(study)]
    ended = next(one for one in read_ended(study, spec) if one.begin.number == repeat)
    events = [event for event in told.events if event.number == repeat]
    assert events[1:] == [*ended.epochs, ended.end]
    begin = events[0]
    assert isinstance(begin, TrialBegin)
    assert begin.repeats == ended.begin.repeats is not None


def test_several_objectives_are_answered_too() -> None:
    spec = _spec(objective=[{"metric": "accuracy"}, {"metric": "parameters"}])
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    repeats = _repeats(study)
    assert repeats
    assert all(repeat.values == trained.values for repeat, trained in repeats)
    assert TrialRecord.from_trial(repeats[0][0]).epochs == spec.training.epochs
