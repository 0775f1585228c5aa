"""Drives a ledger without training: made-up results that depend on a trial's settings alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import Study

from searchlab.config.seeds import derive_seed
from searchlab.config.space import SpaceSpec
from searchlab.config.study import StudySpec
from searchlab.config.trained_folds import FoldMetrics, Machine
from searchlab.config.trial import TrialConfig
from searchlab.search.pruning.registry import make_pruner
from searchlab.search.samplers.registry import make_sampler
from searchlab.search.space.callable_space import CallableSpace
from searchlab.search.space.study_space import SpecSpace, StudySpace
from searchlab.study.ledger import Ledger
from searchlab.study.plan import StudyPlan, plan_study
from searchlab.training.kept_answers import TestAnswers
from searchlab.training.results import EpochResult

ANSWERS = TestAnswers(labels="eNpjYGBkYAJiAAAYAAU=", guesses="eNpjYGBkYAJiAAAYAAU=")
MACHINE = Machine(device="cpu avx2", torch="2.15.0", num_threads=1)
NO_CHECKPOINTS = Path("/nonexistent/checkpoints")
SPACE: dict[str, Any] = {
    "parameters": {
        "lr": {"low": 1e-4, "high": 1e-1, "log": True},
        "batch_size": [64, 128],
        "dropout": {"low": 0.0, "high": 0.5},
        "optimizer": "adam",
        "family": {
            "cnn": {
                "depth": {"low": 1, "high": 2},
                "width": {"each_layer": [4, 8]},
                "activation": ["relu", "gelu"],
            },
            "fcn": {"depth": [1, 2], "width": {"low": 8, "high": 64, "step": 8}},
        },
    }
}
STUDY: dict[str, Any] = {
    "name": "driven",
    "dataset": {"name": "digits"},
    "space": SPACE,
    "search": {"sampler": "tpe", "trials": 6},
    "training": {"epochs": 3},
    "validation": {"folds": 3, "search_folds": 2},
    "baselines": {"architectures": ["a2"], "schemes": ["HF", "DT"]},
    "confirm": {"top": 2, "repeats": 0},
}


def make_spec(**changes: Any) -> StudySpec:
    """Return the small study with whole sections replaced or, where both are dicts, updated."""
    data = dict(STUDY)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(data.get(name), dict) and name != "space"
        data[name] = {**data[name], **value} if both else value
    return StudySpec.model_validate(data)


def open_space(spec: StudySpec) -> StudySpace:
    return SpecSpace(spec) if isinstance(spec.space, SpaceSpec) else CallableSpace(spec)


def make_plan(spec: StudySpec) -> StudyPlan:
    """Plan a study as a run does."""
    return plan_study(spec, open_space(spec))


def open_study(spec: StudySpec, storage: BaseStorage | None = None) -> Study:
    """Make the study or open it again, each time with samplers and pruners made anew."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=spec.name,
        storage=storage or InMemoryStorage(),
        directions=[objective.natural_direction for objective in spec.objective],
        sampler=make_sampler(spec, open_space(spec)),
        pruner=make_pruner(spec.search.pruner, epochs=spec.training.epochs),
        load_if_exists=True,
    )


def open_ledger(spec: StudySpec, study: Study | None = None) -> Ledger:
    return Ledger(
        plan=make_plan(spec),
        study=study or open_study(spec),
        checkpoints=NO_CHECKPOINTS,
    )


def score(config: TrialConfig, epoch: int) -> float:
    """A value in [0, 1) that depends on the settings and the epoch, not on the trial's number."""
    settings = f"{config.model} {config.settings.lr} {config.settings.batch_size}"
    return derive_seed("score", settings, epoch) / 2**63


def make_result(
    config: TrialConfig, epoch: int, value: float | None = None, **changes: Any
) -> EpochResult:
    """What a worker would send; ``best_value`` is the best so far unless given."""
    if not config.folds.folds:
        return _make_confirmation(config, epoch, **changes)
    value = score(config, epoch) if value is None else value
    values = {past: score(config, past) for past in range(1, epoch)} | {epoch: value}
    best_epoch = max(values, key=lambda past: (values[past], -past))
    done = epoch == config.settings.epochs
    fields: dict[str, Any] = {
        "number": config.number,
        "epoch": epoch,
        "folds": tuple(
            FoldMetrics(
                fold=fold,
                training={"loss": 1.0 / epoch, "accuracy": value},
                validation={"loss": 1.5 / epoch, "accuracy": value},
            )
            for fold in config.folds.folds
        ),
        "full_training": {"loss": 0.75 / epoch, "accuracy": value} if config.folds.test else None,
        "value": value,
        "best_value": values[best_epoch],
        "best_epoch": best_epoch,
        "fold_values": tuple(values[best_epoch] for _ in config.folds.folds),
        "fold_epoch": best_epoch,
        "seconds": 0.25,
        "figures": {"parameters": 123},
        "machine": MACHINE,
        "done": done,
        "test": {"loss": 0.5, "accuracy": 0.9} if done and config.folds.test else None,
    }
    return EpochResult(**{**fields, **changes})


def _make_confirmation(config: TrialConfig, epoch: int, **changes: Any) -> EpochResult:
    """Return the result of a trial without folds: it has no value, and answers at its end."""
    done = epoch == config.last_epoch
    fields: dict[str, Any] = {
        "number": config.number,
        "epoch": epoch,
        "folds": (),
        "full_training": {"loss": 0.75 / epoch, "accuracy": 0.5},
        "value": math.nan,
        "best_value": math.nan,
        "best_epoch": 0,
        "fold_values": (),
        "fold_epoch": 0,
        "seconds": 0.25,
        "figures": {"parameters": 123},
        "machine": MACHINE,
        "done": done,
        "test": {"loss": 0.5, "accuracy": 0.9 + 0.01 * config.repeat} if done else None,
        "answers": ANSWERS if done else None,
    }
    return EpochResult(**{**fields, **changes})


def train(ledger: Ledger, config: TrialConfig) -> None:
    """Train a trial to its end, or until it is pruned."""
    for epoch in range(1, (config.last_epoch or config.settings.epochs) + 1):
        if ledger.report(make_result(config, epoch)):
            break
    ledger.tell(config.number)


def run_to_end(
    ledger: Ledger, train: Callable[[Ledger, TrialConfig], None] = train
) -> list[TrialConfig]:
    """Run every trial that the ledger asks for, one after another; return them in order."""
    asked = []
    while (config := ledger.ask()) is not None:
        asked.append(config)
        train(ledger, config)
    assert ledger.is_finished
    return asked


def describe_trials(study: Study) -> list[tuple[Any, ...]]:
    """All of the study's trials as plain values, without times."""
    return [
        (
            trial.number,
            trial.state.name,
            trial.values,
            trial.params,
            trial.intermediate_values,
            {name: value for name, value in trial.user_attrs.items() if name != "seconds"},
        )
        for trial in study.get_trials(deepcopy=False)
    ]
