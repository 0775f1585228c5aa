"""The ledger: what comes next, and the one honest state in which each trial ends."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from ledger_driving import (
    describe_trials,
    make_result,
    make_spec,
    open_ledger,
    open_study,
    run_to_end,
    score,
    train,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from searchlab.config.trial import TrialConfig
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.trial_record import TrialRecord
from searchlab.study import trial_queue
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail


class _PruneAll(optuna.pruners.BasePruner):
    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        return True


def _by_role(study: Study, role: str) -> list[FrozenTrial]:
    return [trial for trial in study.trials if trial.user_attrs["role"] == role]


def _first_search(ledger: Ledger) -> TrialConfig:
    while (config := ledger.ask()) is not None and config.role == "baseline":
        train(ledger, config)
    assert config is not None
    return config


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "one_at_a_time"])
@pytest.mark.parametrize("pruner", ["none", "median", "successive_halving", "hyperband"])
def test_exactly_the_trials_asked_for_run_in_their_order(sampler: str, pruner: str) -> None:
    search = {"sampler": sampler, "trials": 9, "points": 4, "pruner": pruner}
    spec = make_spec(search=search, training={"epochs": 9})
    study = open_study(spec)
    asked = run_to_end(open_ledger(spec, study))
    roles = [config.role for config in asked]
    complete = [t for t in _by_role(study, "search") if t.state == TrialState.COMPLETE]
    num_finalists = min(2, len(complete))
    assert num_finalists >= 1
    assert roles == ["baseline"] * 2 + ["search"] * 9 + ["finalist"] * num_finalists
    assert [trial.number for trial in study.trials] == list(range(11 + num_finalists))
    assert all(trial.state.is_finished() for trial in study.trials)
    if pruner not in ("none", "median"):  # a median of nine may spare them all
        assert any(trial.state == TrialState.PRUNED for trial in _by_role(study, "search"))


def test_a_planned_sampler_without_a_number_of_trials_runs_its_whole_list() -> None:
    space = {"parameters": {"family": {"cnn": {"depth": [1, 2, 3]}, "fcn": {}}}}
    spec = make_spec(space=space, search={"sampler": "grid", "trials": None})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    assert len({str(trial.params) for trial in _by_role(study, "search")}) == 4


def test_a_trial_without_baselines_or_finalists_is_only_search() -> None:
    spec = make_spec(baselines={"architectures": []}, confirm={"top": 0})
    assert [config.role for config in run_to_end(open_ledger(spec))] == ["search"] * 6


def test_a_network_of_a_zoo_is_called_by_its_own_name() -> None:
    models = ["mobilenet_v3_small", "resnet18"]
    space = {"parameters": {"family": {"torchvision": {"model": models}, "cnn": {"depth": 1}}}}
    spec = make_spec(space=space, search={"sampler": "grid", "trials": 3})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    labels = {TrialRecord.from_trial(trial).label for trial in _by_role(study, "search")}
    assert labels == {"cnn", "torchvision mobilenet_v3_small", "torchvision resnet18"}


def test_what_nobody_names_of_an_optimizer_is_torchs_in_every_role() -> None:
    family = {"cnn": {"depth": 1}, "a2": {"scheme": ["DT"]}}
    space = {"parameters": {"optimizer": ["adam", "adamw", "rmsprop"], "family": family}}
    expected = {"adam": (1e-3, 0.0), "adamw": (1e-3, 0.01), "rmsprop": (1e-2, 0.0)}
    spec = make_spec(
        space=space,
        search={"sampler": "random", "trials": 9, "seed": 0},
        training={"epochs": 3, "optimizer": "adamw"},
    )
    configs = run_to_end(open_ledger(spec))
    assert {config.settings.optimizer for config in configs} == expected.keys()
    for config in configs:
        found = config.settings
        assert (found.lr, found.weight_decay) == expected[found.optimizer], config.role


def test_members_and_test_set_follow_the_role() -> None:
    for config in run_to_end(open_ledger(make_spec())):
        plan = config.folds
        assert (plan.num_folds, plan.search_folds) == (3, 2)
        assert plan.test == (config.role != "search")
        assert plan.folds == ((0, 1) if config.role == "search" else (0, 1, 2))


def test_a_whole_trial_is_complete_with_its_best_value_and_everything_of_it() -> None:
    spec = make_spec()
    study = open_study(spec)
    asked = run_to_end(open_ledger(spec, study))
    for config, trial in zip(asked, study.trials, strict=True):
        values = {epoch: score(config, epoch) for epoch in (1, 2, 3)}
        attrs = trial.user_attrs
        assert trial.state == TrialState.COMPLETE
        assert trial.value == max(values.values())
        assert trial.intermediate_values == values
        assert (attrs["role"], attrs["scheme"]) == (config.role, config.model.scheme)
        assert attrs["fold_values"] == [trial.value] * len(config.folds.folds)
        assert (attrs["num_parameters"], attrs["seconds"], attrs["epochs"]) == (123, 0.75, 3)
        assert "stop_reason" not in attrs
        assert "error" not in attrs
        curves = trial.system_attrs["searchlab:curves"]["validation_accuracy"]
        assert [len(curve) for curve in curves] == [3] * len(config.folds.folds)
        assert trial.system_attrs["searchlab:curves"]["seconds"] == [0.25] * 3
        record = TrialRecord.from_trial(trial)
        assert record.train_losses == (1 / 3,) * len(config.folds.folds)
        assert record.full_train_loss == (0.25 if config.folds.test else None)


def test_test_figures_stand_on_baselines_and_finalists_only() -> None:
    spec = make_spec()
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    for trial in study.trials:
        held = {name for name in trial.user_attrs if "test" in name}
        is_search = trial.user_attrs["role"] == "search"
        assert held == (set() if is_search else {"test_accuracy", "test_loss"})


def test_the_pruner_stops_search_trials_and_never_baselines_or_finalists() -> None:
    spec = make_spec()
    study = open_study(spec)
    study.pruner = _PruneAll()
    asked = run_to_end(open_ledger(spec, study))
    assert [config.role for config in asked] == ["baseline"] * 2 + ["search"] * 6
    for trial in study.trials:
        if trial.user_attrs["role"] == "baseline":
            assert trial.state == TrialState.COMPLETE
            assert len(trial.intermediate_values) == 3
        else:
            assert trial.state == TrialState.PRUNED
            assert trial.user_attrs["stop_reason"] == "pruned"
            assert list(trial.intermediate_values) == [1]


def test_a_finalist_is_not_pruned() -> None:
    spec = make_spec()
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    for _ in range(8):
        config = ledger.ask()
        assert config is not None
        train(ledger, config)
    study.pruner = _PruneAll()
    assert [config.role for config in run_to_end(ledger)] == ["finalist"] * 2
    assert [trial.state.name for trial in _by_role(study, "finalist")] == ["COMPLETE"] * 2


def test_the_last_epoch_is_not_pruned() -> None:
    spec = make_spec(training={"epochs": 1})
    study = open_study(spec)
    study.pruner = _PruneAll()
    run_to_end(open_ledger(spec, study))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_diverged_trial_is_pruned_with_reason(epoch: int) -> None:
    spec = make_spec()
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    config = _first_search(ledger)
    for earlier in range(1, epoch):
        assert not ledger.report(make_result(config, earlier))
    bad: dict[str, Any] = {"diverged": True, "done": True, "folds": (), "test": None}
    bad["value"] = math.nan if epoch == 1 else score(config, epoch - 1)
    if epoch == 1:
        bad |= {"best_value": math.nan, "fold_values": ()}
    assert not ledger.report(make_result(config, epoch, **bad))
    ledger.tell(config.number)
    trial = study.trials[config.number]
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["stop_reason"] == "diverged"
    assert list(trial.intermediate_values) == list(range(1, epoch))
    run_to_end(ledger)


def test_a_diverged_baseline_is_pruned_as_diverged() -> None:
    study = open_study(spec := make_spec())
    ledger = open_ledger(spec, study)
    config = ledger.ask()
    assert config is not None
    assert config.role == "baseline"
    nothing = {"value": math.nan, "best_value": math.nan, "fold_values": (), "folds": ()}
    ledger.report(make_result(config, 1, diverged=True, done=True, **nothing))
    ledger.tell(config.number)
    assert study.trials[0].state == TrialState.PRUNED
    assert study.trials[0].user_attrs["stop_reason"] == "diverged"


@pytest.mark.parametrize("num_epochs", [0, 1, 3])
def test_a_failed_trial_is_fail_with_its_error(num_epochs: int) -> None:
    study = open_study(spec := make_spec())
    ledger = open_ledger(spec, study)
    config = _first_search(ledger)
    for epoch in range(1, num_epochs + 1):
        ledger.report(make_result(config, epoch))
    ledger.tell(config.number, fail("OutOfMemoryError: no more"))
    trial = study.trials[config.number]
    assert (trial.state, trial.value) == (TrialState.FAIL, None)
    assert trial.user_attrs["stop_reason"] == "error"
    assert trial.user_attrs["error"] == "OutOfMemoryError: no more"
    run_to_end(ledger)
    assert len(_by_role(study, "search")) == 6


def test_a_worker_that_ends_without_a_final_result_has_failed() -> None:
    study = open_study(spec := make_spec())
    ledger = open_ledger(spec, study)
    config = _first_search(ledger)
    ledger.report(make_result(config, 1))
    ledger.tell(config.number)
    assert study.trials[config.number].state == TrialState.FAIL
    assert "without a final result" in study.trials[config.number].user_attrs["error"]


def test_results_delivered_again_change_nothing() -> None:
    def train_twice(ledger: Ledger, config: TrialConfig) -> None:
        for epoch in (1, 2):
            assert not ledger.report(make_result(config, epoch))
            assert not ledger.report(make_result(config, epoch))
        for epoch in (1, 2, 3, 3):  # the worker died and began again
            assert not ledger.report(make_result(config, epoch))
        ledger.tell(config.number)

    spec = make_spec()
    once, twice = open_study(spec), open_study(spec)
    run_to_end(open_ledger(spec, once))
    run_to_end(open_ledger(spec, twice), train_twice)
    assert describe_trials(once) == describe_trials(twice)


def test_a_pruned_result_delivered_again_stays_pruned() -> None:
    study = open_study(spec := make_spec())
    study.pruner = _PruneAll()
    ledger = open_ledger(spec, study)
    config = _first_search(ledger)
    assert ledger.report(make_result(config, 1))
    ledger.report(make_result(config, 1))
    ledger.tell(config.number)
    assert study.trials[config.number].state == TrialState.PRUNED


def test_finalists_are_the_best_distinct_search_trials() -> None:
    space = {"parameters": {"lr": [0.1, 0.01, 0.001], "family": "cnn"}}
    spec = make_spec(space=space, search={"sampler": "random", "trials": 12}, confirm={"top": 2})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    search, finalists = _by_role(study, "search"), _by_role(study, "finalist")
    best = {str(trial.params): trial.value for trial in search}
    expected = sorted(best, key=lambda params: -(best[params] or 0))[:2]
    assert [str(trial.params) for trial in finalists] == expected
    for trial in finalists:
        original = study.trials[trial.user_attrs["finalist_of"]]
        assert original.params == trial.params
        assert original.value == trial.value
        twins = [other.number for other in search if other.params == trial.params]
        assert original.number == min(twins)


def test_finalists_of_a_loss_are_the_lowest() -> None:
    spec = make_spec(objective={"metric": "loss"}, confirm={"top": 1})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    values = {trial.number: trial.value for trial in _by_role(study, "search")}
    [finalist] = _by_role(study, "finalist")
    assert finalist.user_attrs["finalist_of"] == min(values, key=lambda number: values[number] or 0)


def test_failed_and_pruned_trials_are_no_finalists() -> None:
    study = open_study(spec := make_spec(search={"max_failures_in_row": None}))

    def fail_search(ledger: Ledger, config: TrialConfig) -> None:
        if config.role == "search":
            ledger.tell(config.number, fail("RuntimeError: no"))
        else:
            train(ledger, config)

    asked = run_to_end(open_ledger(spec, study), fail_search)
    assert [config.role for config in asked] == ["baseline"] * 2 + ["search"] * 6


def test_finalists_wait_for_the_last_search_trials() -> None:
    spec = make_spec()
    ledger = open_ledger(spec)
    live = []
    while (config := ledger.ask()) is not None:
        live.append(config)
    assert len(live) == 8
    for config in live[:-1]:
        train(ledger, config)
        assert ledger.ask() is None
        assert not ledger.is_finished
    train(ledger, live[-1])
    assert [config.role for config in run_to_end(ledger)] == ["finalist"] * 2


def test_after_the_timeout_no_search_trial_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(trial_queue.time, "monotonic", lambda: now)
    spec = make_spec(search={"timeout": 60.0})
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    for _ in range(4):
        config = ledger.ask()
        assert config is not None
        train(ledger, config)
    now += 59.0
    running = ledger.ask()
    assert running is not None
    now += 1.0
    assert ledger.ask() is None
    train(ledger, running)
    assert [config.role for config in run_to_end(ledger)] == ["finalist"] * 2
    assert len(_by_role(study, "search")) == 3


def test_a_stopped_ledger_asks_for_nothing_and_leaves_its_trials_running() -> None:
    study = open_study(spec := make_spec())
    ledger = open_ledger(spec, study)
    assert ledger.ask() is not None
    ledger.stop()
    assert ledger.ask() is None
    assert ledger.snapshot().stopping
    assert not ledger.is_finished
    assert study.trials[0].state == TrialState.RUNNING


def test_a_study_read_by_plain_optuna_is_complete(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    spec = make_spec()
    study = open_study(spec, open_storage(url))
    run_to_end(open_ledger(spec, study))
    read = optuna.load_study(study_name=spec.name, storage=url)
    assert describe_trials(read) == describe_trials(study)
    assert read.best_value == max(trial.value or 0 for trial in study.trials)
    needed = {"role", "scheme", "fold_values", "num_parameters", "seconds"}
    for trial in read.trials:
        assert trial.user_attrs.keys() >= needed
        assert list(trial.intermediate_values) == [1, 2, 3]


@pytest.mark.parametrize("sampler", ["grid", "tpe"])
def test_a_trial_that_somebody_else_enqueues_displaces_no_planned_one(sampler: str) -> None:
    search = {"sampler": sampler, "trials": 5, "points": 3}
    spec = make_spec(search=search)
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    study.enqueue_trial({})
    asked = run_to_end(ledger)
    assert all(trial.state.is_finished() for trial in study.trials)
    assert len(asked) == len(study.trials)
    plans = [trial.user_attrs["plan"] for trial in study.trials if "plan" in trial.user_attrs]
    assert sum(plan.startswith("baseline/") for plan in plans) == 2
    assert sum(plan.startswith("finalist/") for plan in plans) == 2
    assert sum(plan.startswith("search/") for plan in plans) == (5 if sampler == "grid" else 0)
