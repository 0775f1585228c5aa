"""Several objectives: what is told to Optuna, what is asked next, and who becomes a finalist."""

from __future__ import annotations

import math
from dataclasses import replace
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
    score,
)
from pydantic import ValidationError

from searchlab.config.documents import parse_yaml
from searchlab.config.objectives import ObjectiveSpec
from searchlab.config.study import StudySpec
from searchlab.config.trial import TrialConfig
from searchlab.config.validation import validate_document
from searchlab.errors import InputError
from searchlab.study.ledger import Ledger
from searchlab.study.objective_values import objective_values
from searchlab.study.plan import choose_finalists
from searchlab.study.trial_config import make_config
from searchlab.training.results import EpochResult

ROBUSTNESS = {"attack": "fgsm", "epsilon": 0.1}


def spec_of(*metrics: str, **changes: Any) -> StudySpec:
    objective = [{"metric": metric} for metric in metrics]
    robustness = ROBUSTNESS if "robust_accuracy" in metrics else None
    return make_spec(objective=objective, robustness=robustness, **changes)


def result_with_costs(config: TrialConfig, epoch: int) -> EpochResult:
    """Add what a worker measures besides: all of it by the settings alone."""
    draw = score(config, 0)
    plain = make_result(config, epoch)
    folds = tuple(
        replace(
            fold,
            validation={
                **fold.validation,
                "robust_accuracy": 0.5 * fold.validation["accuracy"] + 0.01 * fold.fold,
                "loss": draw / epoch + fold.fold,
            },
        )
        for fold in plain.folds
    )
    figures: dict[str, float] = {
        "parameters": int(1000 * (1 - draw)),
        "multiply_adds": int(5000 * draw),
    }
    if plain.done:
        figures["latency"] = 2 * draw
    return replace(plain, folds=folds, figures=figures)


def train(ledger: Ledger, config: TrialConfig) -> None:
    for epoch in range(1, config.settings.epochs + 1):
        assert not ledger.report(result_with_costs(config, epoch))
    ledger.tell(config.number)


# What is optimised


def check(text: str, *pieces: str) -> None:
    document = parse_yaml(
        "name: s\ndataset: digits\nspace: {parameters: {family: cnn}}\n" + text, source="s.yaml"
    )
    with pytest.raises(InputError) as error:
        validate_document(StudySpec, document)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    for piece in pieces:
        assert piece in message


@pytest.mark.parametrize(
    ("objective", "pieces"),
    [
        ("[]", ["s.yaml:4: objective must name at least one"]),
        (
            "[{metric: parameters}, {metric: accuracy}]",
            ["must start with a metric that every epoch measures"],
        ),
        (
            "{metric: latency}",
            ["objective must start with a metric that every epoch measures", "got 'latency'"],
        ),
        ("[{metric: loss}, {metric: loss}]", ["must name each metric once, got 'loss' twice"]),
        ("[{metric: loss}, {metric: robust_accuracy}]", ["Add robustness: {attack: fgsm"]),
        ("[{metric: loss, direction: maximize}]", ["objective.0.direction must be minimize"]),
        (
            "[{metric: loss}, {metric: accuracy, at: last}]",
            ["objective.1.at must be 'best', as for the first objective", "got 'last'"],
        ),
    ],
)
def test_objectives_that_cannot_be_searched_are_one_error(
    objective: str, pieces: list[str]
) -> None:
    check(f"objective: {objective}\nsearch: {{trials: 3}}\n", *pieces)


@pytest.mark.parametrize(
    ("search", "piece"),
    [
        ("sampler: cmaes", "search.sampler must support several objectives"),
        ("sampler: evolution", "Use nsga2, tpe or gp"),
        ("pruner: median", "search.pruner must be none with several objectives"),
    ],
)
def test_what_weighs_one_objective_refuses_two(search: str, piece: str) -> None:
    objective = "objective: [{metric: accuracy}, {metric: parameters}]\n"
    check(f"{objective}search: {{trials: 3, {search}}}\n", piece)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("training: {patience: 2}", "s.yaml:6: training.patience"),
        ("baselines: {training: {patience: 2}}", "s.yaml:6: baselines.training.patience"),
        (
            "baselines: {rows: [{name: b, architecture: a2}, "
            "{name: x, architecture: a2, training: {patience: 2}}]}",
            "baselines.rows.1.training.patience",
        ),
    ],
)
def test_patience_goes_with_no_objective_of_the_last_epoch(text: str, place: str) -> None:
    objective = "objective: {metric: accuracy, at: last}\nsearch: {trials: 3}\n"
    check(objective + text + "\n", place, "must be null with objective.at: last", "got 2")
    make_spec(training={"patience": 2})


# What is recorded


METRICS = ("accuracy", "loss", "robust_accuracy", "parameters", "multiply_adds", "latency")


def test_values_are_of_the_best_epochs_search_folds_in_the_order_asked_for() -> None:
    spec = spec_of(*METRICS)
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    [config, *_] = run_to_end(ledger, train)
    trial = study.trials[config.number]
    results = {
        epoch: result_with_costs(config, epoch) for epoch in range(1, config.settings.epochs + 1)
    }
    last = results[config.settings.epochs]
    first, second, *_ = results[last.best_epoch].folds  # of three, two are search folds
    assert trial.values == pytest.approx([
        last.best_value,
        (first.validation["loss"] + second.validation["loss"]) / 2,
        (first.validation["robust_accuracy"] + second.validation["robust_accuracy"]) / 2,
        last.figures["parameters"],
        last.figures["multiply_adds"],
        last.figures["latency"],
    ])  # fmt: skip
    names = [direction.name for direction in study.directions]
    assert names == ["MAXIMIZE", "MINIMIZE", "MAXIMIZE", "MINIMIZE", "MINIMIZE", "MINIMIZE"]
    assert trial.user_attrs["robust_accuracy"] == pytest.approx(trial.values[2])
    assert trial.user_attrs["multiply_adds"] == last.figures["multiply_adds"]
    assert trial.user_attrs["latency_ms"] == last.figures["latency"]


def test_the_first_objective_decides_the_epoch_of_all() -> None:
    config = open_ledger(make_spec()).ask()
    assert config is not None
    results = {epoch: result_with_costs(config, epoch) for epoch in (1, 2, 3)}
    results[3] = replace(results[3], best_epoch=1, best_value=0.9)
    objectives = [ObjectiveSpec(metric="accuracy"), ObjectiveSpec(metric="loss")]
    accuracy, loss = objective_values(
        objectives, results, folds=replace(config.folds, search_folds=1)
    )
    assert (accuracy, loss) == (0.9, results[1].folds[0].validation["loss"])


def test_workers_measure_only_what_is_an_objective() -> None:
    def config_of(spec: StudySpec) -> TrialConfig:
        return make_config(spec, {"family": "cnn"}, number=0, known={})

    config = config_of(spec_of("accuracy", "latency", "multiply_adds"))
    assert config.measures == ("latency", "multiply_adds")
    assert config.robustness is None
    robust = config_of(spec_of("loss", "robust_accuracy"))
    assert robust.measures == ()
    assert robust.robustness is not None
    assert (robust.robustness.attack, robust.robustness.epsilon) == ("fgsm", 0.1)
    assert (robust.objective.metric, robust.objective.direction) == ("loss", "minimize")


def test_no_intermediate_values_and_best_trials_work() -> None:
    spec = spec_of("accuracy", "parameters", search={"trials": 14})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study), train)
    assert all(not trial.intermediate_values for trial in study.trials)
    best = study.best_trials
    assert best
    for trial in best:
        assert not any(
            other.values[0] > trial.values[0] and other.values[1] < trial.values[1]
            for other in study.trials
        )


def test_a_diverged_trial_of_two_objectives_is_pruned_without_values() -> None:
    spec = spec_of("accuracy", "parameters", search={"trials": 14}, baselines={"architectures": []})
    study = open_study(spec)

    def diverge_some(ledger: Ledger, config: TrialConfig) -> None:
        if config.number % 3 != 1:
            return train(ledger, config)
        ledger.report(result_with_costs(config, 1))
        ledger.report(
            make_result(config, 2, math.nan, folds=(), done=True, diverged=True, test=None)
        )
        return ledger.tell(config.number)

    run_to_end(open_ledger(spec, study), diverge_some)
    ended = [trial for trial in study.trials if trial.user_attrs["role"] == "search"]
    for trial in ended:
        if trial.number % 3 == 1:
            assert (trial.state.name, trial.values) == ("PRUNED", None)
            assert trial.user_attrs["stop_reason"] == "diverged"
        else:
            assert trial.state.name == "COMPLETE"
    assert len(ended) == 14


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_study_of_two_objectives_killed_on_the_way_ends_with_the_same_trials(
    sampler: str,
) -> None:
    spec = spec_of("accuracy", "robust_accuracy", search={"sampler": sampler, "trials": 22})
    undisturbed = open_study(spec)
    run_to_end(open_ledger(spec, undisturbed), train)
    killed = open_study(spec)
    for num_more in (1, 7, 12):
        ledger = open_ledger(spec, killed)
        for index in range(num_more):
            config = ledger.ask()
            assert config is not None
            if index < num_more - 1:
                train(ledger, config)
            else:  # left running after an epoch
                ledger.report(result_with_costs(config, 1))
        killed = open_study(spec, killed._storage)
    run_to_end(open_ledger(spec, killed), train)
    assert describe_trials(killed) == describe_trials(undisturbed)


# Who is confirmed


def test_finalists_come_from_the_front_first() -> None:
    spec = spec_of("accuracy", "parameters", search={"trials": 8}, confirm={"top": 3})
    study = open_study(spec)
    values = [(0.9, 900), (0.8, 100), (0.89, 950), (0.88, 990), (0.7, 200), (0.6, 300)]
    values += [(0.5, 400), (0.4, 500)]

    def train_to(ledger: Ledger, config: TrialConfig) -> None:
        if config.role == "search":
            accuracy, size = values[config.number - 2]
            for epoch in range(1, config.settings.epochs + 1):
                ledger.report(
                    make_result(config, epoch, figures={"parameters": size}, best_value=accuracy)
                )
            ledger.tell(config.number)
        else:
            train(ledger, config)

    run_to_end(open_ledger(spec, study), train_to)
    finalists = [t for t in study.trials if t.user_attrs["role"] == "finalist"]
    # 2 and 3 are the front; of the others the most accurate follows.
    assert [trial.user_attrs["finalist_of"] for trial in finalists] == [2, 3, 4]
    ledger = Ledger(
        plan=make_plan(spec),
        study=study,
        checkpoints=NO_CHECKPOINTS,
    )
    one = make_spec(search={"trials": 8}, confirm={"top": 3})
    by_accuracy = choose_finalists(one, ledger.records)
    assert [item.attributes["finalist_of"] for item in by_accuracy] == [2, 4, 5]


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ValidationError):
        spec_of("accuracy", "beauty")
