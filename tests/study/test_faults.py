"""What the ledger does when trials, workers, drivers or machines fail."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from ledger_driving import (
    describe_trials,
    make_result,
    make_spec,
    open_ledger,
    open_study,
    run_to_end,
    train,
)
from optuna.study import Study
from optuna.trial import TrialState

from searchlab.config.trial import TrialConfig
from searchlab.errors import InfrastructureError
from searchlab.records import trial_record as attr
from searchlab.records.trial_record import TrialRecord
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail

ONLY_SEARCH: dict[str, Any] = {"baselines": {"architectures": []}, "confirm": {"top": 0}}


def ask(ledger: Ledger) -> TrialConfig:
    config = ledger.ask()
    assert config is not None
    return config


def interruptions(study: Study, number: int) -> dict[str, int]:
    return dict(study.trials[number].system_attrs[attr.INTERRUPTIONS])


# Lost trials are run again, once


def test_a_lost_trial_is_run_again_once_with_its_parameters() -> None:
    spec = make_spec()
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    lost = [ask(ledger), ask(ledger), ask(ledger)]  # two baselines and a search trial
    train(ledger, lost[0])
    ledger.tell(lost[1].number, fail("the worker died", "lost"))
    ledger.tell(lost[2].number, fail("the worker died", "lost"))
    run_to_end(ledger)
    retries = {trial.user_attrs.get("retry_of"): trial for trial in study.trials}
    for number in (1, 2):
        again, before = retries[number], study.trials[number]
        assert again.params == before.params
        assert again.state == TrialState.COMPLETE
        assert again.user_attrs["role"] == before.user_attrs["role"]
        assert again.user_attrs["label"] == before.user_attrs["label"]
    # Two baselines, six search trials and two finalists, each once, besides the two lost ones.
    assert sum(trial.state == TrialState.COMPLETE for trial in study.trials) == 10
    assert len(study.trials) == 12


def test_a_retry_that_is_lost_too_is_not_run_a_third_time() -> None:
    spec = make_spec(search={"trials": 2}, **ONLY_SEARCH)
    study = open_study(spec)

    def lose_the_first(ledger: Ledger, config: TrialConfig) -> None:
        frozen = study.trials[config.number]
        if 0 in (config.number, frozen.user_attrs.get("retry_of")):
            ledger.tell(config.number, fail(f"lost {config.number}", "lost"))
        else:
            train(ledger, config)

    run_to_end(open_ledger(spec, study), lose_the_first)
    states = [(trial.state.name, trial.user_attrs.get("retry_of")) for trial in study.trials]
    assert states == [("FAIL", None), ("FAIL", 0), ("COMPLETE", None)]


def test_a_driver_killed_before_it_enqueues_a_retry_still_owes_it() -> None:
    spec = make_spec(search={"trials": 2}, **ONLY_SEARCH)
    study = open_study(spec)
    killed = open_ledger(spec, study)
    killed.tell(ask(killed).number, fail("the worker died", "lost"))
    run_to_end(open_ledger(spec, study))
    run_to_end(open_ledger(spec, study))
    assert [trial.user_attrs.get("retry_of") for trial in study.trials] == [None, 0, None]


def test_a_trial_that_cannot_be_taken_up_is_failed_with_the_reason_and_run_again() -> None:
    spec = make_spec(**ONLY_SEARCH)
    study = open_study(spec)
    killed = open_ledger(spec, study)
    config = ask(killed)
    changed = {**config_space(), "batch_size": [32, 256]}  # neither has the trial's value
    again = make_spec(space={"parameters": changed}, **ONLY_SEARCH)
    with pytest.raises(InfrastructureError, match=r"5 trials in a row .*dynamic value space"):
        open_ledger(again, study).ask()
    first = TrialRecord.from_trial(study.trials[0])
    assert (first.state, first.stop_reason) == ("FAIL", "lost")
    assert "cannot be taken up again" in (first.error or "")
    assert [trial.user_attrs.get("retry_of") for trial in study.trials][1:2] == [config.number]


def test_a_trial_that_ends_otherwise_than_it_was_about_to_is_not_replaced() -> None:
    """Its driver was killed between what it wrote of the end and the state itself."""
    spec = make_spec(search={"trials": 1}, **ONLY_SEARCH)
    study = open_study(spec)
    ask(open_ledger(spec, study))
    for name, value in ((attr.STOP_REASON, "lost"), (attr.ERROR, "the worker died")):
        study._storage.set_trial_user_attr(study.trials[0]._trial_id, name, value)
    run_to_end(open_ledger(spec, study))
    [record] = [TrialRecord.from_trial(trial) for trial in study.trials]
    assert (record.state, record.stop_reason, record.error) == ("COMPLETE", None, None)


def config_space() -> dict[str, Any]:
    from ledger_driving import SPACE

    return dict(SPACE["parameters"])


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_trial_that_takes_every_driver_with_it_is_given_up(sampler: str) -> None:
    objective = [{"metric": "accuracy"}, {"metric": "parameters"}][: 1 + (sampler == "nsga2")]
    changes = {"objective": objective, "search": {"trials": 1, "sampler": sampler}, **ONLY_SEARCH}
    spec = make_spec(**changes)
    study = open_study(spec)
    for _ in range(11):
        assert ask(open_ledger(spec, study)).number == 0
    ledger = open_ledger(spec, study)
    assert ask(ledger).number == 1
    assert study.trials[0].state == TrialState.FAIL
    assert "ended no epoch" in study.trials[0].user_attrs["error"]


ONE_OBJECTIVE: dict[str, Any] = {}
TWO_OBJECTIVES: dict[str, Any] = {
    "objective": [{"metric": "accuracy"}, {"metric": "parameters"}],
    "search": {"sampler": "nsga2"},
}


@pytest.mark.parametrize("objectives", [ONE_OBJECTIVE, TWO_OBJECTIVES])
def test_a_trial_that_gets_on_may_be_taken_up_any_number_of_times(
    objectives: dict[str, Any],
) -> None:
    search = {**objectives.get("search", {}), "trials": 1}
    changes = {**ONLY_SEARCH, **objectives, "search": search, "training": {"epochs": 12}}
    spec = make_spec(**changes)
    study = open_study(spec)
    for epoch in range(1, 12):
        ledger = open_ledger(spec, study)
        config = ask(ledger)
        for past in range(1, epoch):
            ledger.report(make_result(config, past, replayed=True))
        ledger.report(make_result(config, epoch))
    run_to_end(open_ledger(spec, study))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE]
    assert interruptions(study, 0)["taken_up"] == 11


# What was lost is counted


def test_epochs_trained_twice_are_counted_and_replayed_ones_are_not() -> None:
    spec = make_spec(training={"epochs": 4}, search={"trials": 1}, **ONLY_SEARCH)
    study = open_study(spec)
    killed = open_ledger(spec, study)
    config = ask(killed)
    for epoch in (1, 2, 3):
        killed.report(make_result(config, epoch))
    ledger = open_ledger(spec, study)
    config = ask(ledger)
    ledger.report(make_result(config, 1, replayed=True))
    for epoch in (2, 3, 4):
        ledger.report(make_result(config, epoch))
    ledger.tell(config.number)
    assert interruptions(study, 0)["rerun_epochs"] == 2
    assert interruptions(study, 0)["taken_up"] == 1


def test_a_worker_lost_is_counted_and_so_is_what_its_successor_trains_again() -> None:
    spec = make_spec(training={"epochs": 3}, search={"trials": 1}, **ONLY_SEARCH)
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    config = ask(ledger)
    ledger.report(make_result(config, 1))
    ledger.report(make_result(config, 2))
    ledger.note_worker_lost(config.number, "its host was lost")
    assert ask(ledger) == config
    ledger.report(replace(make_result(config, 1), replayed=True))
    ledger.report(replace(make_result(config, 2), seconds=0.5))
    ledger.report(make_result(config, 3))
    ledger.tell(config.number)
    assert study.trials[0].state == TrialState.COMPLETE
    counts = interruptions(study, 0)
    assert (counts["worker_lost"], counts["rerun_epochs"]) == (1, 1)


def test_a_trial_whose_workers_keep_dying_is_lost_and_one_that_gets_on_is_not() -> None:
    spec = make_spec(training={"epochs": 20}, search={"trials": 2}, **ONLY_SEARCH)
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    for epoch in range(1, 20):
        config = ask(ledger)
        assert config.number == 0
        for past in range(1, epoch):
            ledger.report(make_result(config, past, replayed=True))
        ledger.report(make_result(config, epoch))
        ledger.note_worker_lost(0, "its worker died")
    train(ledger, ask(ledger))
    assert study.trials[0].state == TrialState.COMPLETE
    assert interruptions(study, 0)["worker_lost"] == 19
    for _ in range(10):
        assert ask(ledger).number == 1
        ledger.note_worker_lost(1, "its worker died")
    assert ask(ledger).number == 2
    record = TrialRecord.from_trial(study.trials[1])
    assert (record.state, record.stop_reason) == ("FAIL", "lost")
    assert record.error == "its worker died, as on all of 10 workers"
    assert study.trials[2].user_attrs["retry_of"] == 1


# Delivered twice


def test_results_delivered_twice_or_after_the_end_change_nothing() -> None:
    spec = make_spec()
    study, once = open_study(spec), open_study(make_spec(name="once"))

    def train_and_repeat(ledger: Ledger, config: TrialConfig) -> None:
        results = [make_result(config, epoch) for epoch in range(1, config.settings.epochs + 1)]
        for result in results:
            ledger.report(result)
            ledger.report(result)
        ledger.tell(config.number)
        ledger.report(results[-1])
        ledger.tell(config.number)
        ledger.tell(config.number, fail("too late"))

    run_to_end(open_ledger(spec, study), train_and_repeat)
    run_to_end(open_ledger(make_spec(name="once"), once))
    assert describe_trials(study) == describe_trials(once)
    assert not any(attr.INTERRUPTIONS in trial.system_attrs for trial in study.trials)


# Only finite values are COMPLETE


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_finite_never_completes_a_trial(value: float) -> None:
    spec = make_spec(objective={"metric": "loss"}, search={"trials": 2}, **ONLY_SEARCH)
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    config = ask(ledger)
    ledger.report(make_result(config, 1))
    ledger.report(make_result(config, 3, best_value=value))
    ledger.tell(config.number)
    train(ledger, ask(ledger))
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE"]
    assert study.trials[0].user_attrs["stop_reason"] == "diverged"
    assert study.best_trial.number == 1


# Faults of the machine stop the study, not its budget


def test_failures_in_a_row_for_one_cause_end_the_run_with_that_cause() -> None:
    spec = make_spec(search={"trials": 50}, **ONLY_SEARCH)
    study = open_study(spec)
    ledger = open_ledger(spec, study)

    def fail_all(ledger: Ledger, config: TrialConfig) -> None:
        ledger.tell(config.number, fail(f"RuntimeError: device {config.number} is gone"))

    with pytest.raises(InfrastructureError, match=r"5 trials in a row.*#4: .*device 4 is gone"):
        run_to_end(ledger, fail_all)
    assert len(study.trials) == 5
    train(resumed := open_ledger(spec, study), ask(resumed))
    assert study.trials[5].state == TrialState.COMPLETE


def test_failures_for_several_causes_or_with_successes_between_do_not() -> None:
    spec = make_spec(search={"trials": 12, "max_failures_in_row": 2}, **ONLY_SEARCH)
    study = open_study(spec)

    def fail_often(ledger: Ledger, config: TrialConfig) -> None:
        kind = config.number % 3
        if kind == 2:
            train(ledger, config)
        else:
            ledger.tell(config.number, fail("ValueError: no" if kind else "KeyError: no"))

    run_to_end(open_ledger(spec, study), fail_often)
    assert len(study.trials) == 12


def test_running_out_of_memory_is_recorded_as_such() -> None:
    spec = make_spec(search={"trials": 1}, **ONLY_SEARCH)
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    ledger.tell(ask(ledger).number, fail("OutOfMemoryError: CUDA out of memory", "oom"))
    assert study.trials[0].user_attrs["stop_reason"] == "oom"
    assert ledger.ask() is None, "it is not tried again"


def test_a_trial_trained_in_parts_says_so() -> None:
    spec = make_spec(training={"epochs": 1}, search={"trials": 1}, **ONLY_SEARCH)
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    config = ask(ledger)
    ledger.report(make_result(config, 1, batch_split=4))
    ledger.tell(config.number, node="10.0.0.7")
    assert study.trials[0].user_attrs["batch_split"] == 4
    assert study.trials[0].user_attrs["node"] == "10.0.0.7"
