"""A synthetic study of many finished trials for ``scale.py``, in a run folder and in memory."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

EPOCHS = 20
STUDY = "scale-benchmark"


def describe_study(pruner: str = "none") -> dict[str, Any]:
    """Return the study: every trial has twelve parameters, six of them its family's own."""
    layers = {"each_layer": [16, 32, 64]}
    return {
        "name": STUDY,
        "dataset": {"name": "digits"},
        "space": {
            "parameters": {
                "lr": {"low": 1.0e-4, "high": 1.0e-1, "log": True},
                "weight_decay": {"low": 1.0e-6, "high": 1.0e-2, "log": True},
                "batch_size": [32, 64, 128],
                "dropout": {"low": 0.0, "high": 0.7},
                "init": ["default", "kaiming_normal", "xavier_normal"],
                "augment": ["none", "flip", "rotate"],
                "family": {
                    "cnn": {"depth": [3], "width": layers, "activation": ["relu", "gelu"]},
                    "fcn": {
                        "depth": [2, 3],
                        "width": {"each_layer": [64, 128, 256]},
                        "activation": ["relu", "sigmoid"],
                    },
                },
            }
        },
        "search": {"sampler": "tpe", "pruner": pruner, "trials": 10**9},
        "training": {"epochs": EPOCHS, "optimizer": "adamw"},
        "validation": {"folds": 5, "search_folds": 1},
        "baselines": {"architectures": []},
        "confirm": {"top": 0},
    }


# Synthetic finished trials


class DrawnTrial:
    """Draws parameters like a trial of a random search, without a study."""

    def __init__(self, rng: random.Random) -> None:
        from optuna.trial import TrialState, create_trial

        self._rng = rng
        self._cached_frozen_trial = create_trial(state=TrialState.RUNNING)  # no fixed values
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Draw one of the choices."""
        from optuna.distributions import CategoricalDistribution

        return self._note(name, self._rng.choice(choices), CategoricalDistribution(choices))

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Draw a whole number."""
        from optuna.distributions import IntDistribution

        value = self._rng.randrange(low, high + 1, step)
        return self._note(name, value, IntDistribution(low, high, log, step))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        """Draw a number."""
        from optuna.distributions import FloatDistribution

        share = self._rng.random()
        value = low * (high / low) ** share if log else low + (high - low) * share
        return self._note(name, value, FloatDistribution(low, high, log, step))

    def _note(self, name: str, value: Any, distribution: Any) -> Any:
        self.params[name], self.distributions[name] = value, distribution
        return value


def make_templates(size: int) -> Iterator[Any]:
    """Yield finished trials with everything that the ledger writes for a search trial."""
    from optuna.trial import FrozenTrial, TrialState

    from searchlab.records import trial_record as attr

    rng = random.Random(0)
    space = make_space(make_spec())
    began = datetime(2026, 1, 1)
    for number in range(size):
        drawn = DrawnTrial(rng)
        space.suggest(drawn)
        level = rng.uniform(0.1, 0.9)
        values = [level * epoch / (epoch + 1.0) for epoch in range(1, EPOCHS + 1)]
        curve = [[round(value, 6) for value in values]]
        figures = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
        yield FrozenTrial(
            number=number,
            state=TrialState.COMPLETE,
            value=values[-1],
            datetime_start=began + timedelta(seconds=number),
            datetime_complete=began + timedelta(seconds=number + 100),
            params=drawn.params,
            distributions=drawn.distributions,
            user_attrs={
                attr.ROLE: "search",
                attr.LABEL: drawn.params["family"],
                attr.SCHEME: "DT",
                attr.EPOCHS: EPOCHS,
                attr.FIGURES: {"accuracy": values[-1], "num_parameters": 100_000},
                "num_parameters": 100_000,
                attr.SECONDS: 100.0,
                attr.FOLD_VALUES: [values[-1]],
                attr.TRAIN_LOSS: 1.0 - level,
            },
            system_attrs={
                attr.CURVES: dict.fromkeys(figures, curve) | {"seconds": [5.0] * EPOCHS},
                **{f"completed_rung_{rung}": values[3**rung - 1] for rung in range(3)},
            },
            intermediate_values=dict(enumerate(values, start=1)),
            trial_id=-1,
        )


def fill_database(storage: Any, study_id: int, size: int) -> None:
    """Insert finished trials; storing them one by one through Optuna takes minutes."""
    import sqlalchemy
    from optuna.distributions import distribution_to_json
    from optuna.storages._rdb import models

    rows: dict[Any, list[dict[str, Any]]] = {}

    def add(model: Any, **row: Any) -> None:
        rows.setdefault(model.__table__, []).append(row)

    for trial_id, trial in enumerate(make_templates(size), start=1):
        add(
            models.TrialModel,
            trial_id=trial_id,
            number=trial.number,
            study_id=study_id,
            state=trial.state,
            datetime_start=trial.datetime_start,
            datetime_complete=trial.datetime_complete,
        )
        add(
            models.TrialValueModel,
            trial_id=trial_id,
            objective=0,
            value=trial.value,
            value_type=models.TrialValueModel.TrialValueType.FINITE,
        )
        for name, distribution in trial.distributions.items():
            add(
                models.TrialParamModel,
                trial_id=trial_id,
                param_name=name,
                param_value=distribution.to_internal_repr(trial.params[name]),
                distribution_json=distribution_to_json(distribution),
            )
        for model, attributes in (
            (models.TrialUserAttributeModel, trial.user_attrs),
            (models.TrialSystemAttributeModel, trial.system_attrs),
        ):
            for key, value in attributes.items():
                add(model, trial_id=trial_id, key=key, value_json=json.dumps(value))
        for step, value in trial.intermediate_values.items():
            add(
                models.TrialIntermediateValueModel,
                trial_id=trial_id,
                step=step,
                intermediate_value=value,
                intermediate_value_type=(
                    models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
                ),
            )
    with storage.database.engine.begin() as connection:
        for table, content in rows.items():
            connection.execute(sqlalchemy.insert(table), content)


# The study


def make_spec(pruner: str = "none") -> Any:
    """Return the study's specification."""
    from searchlab.config.study import StudySpec

    return StudySpec.model_validate(describe_study(pruner))


def make_space(spec: Any) -> Any:
    """Return the study's space."""
    from searchlab.search.space.study_space import SpecSpace

    return SpecSpace(spec)


def make_run(folder: Path, size: int) -> None:
    """Write a run folder whose study has ``size`` finished trials."""
    import optuna

    from searchlab.records.run_folder import RunFolder
    from searchlab.records.storage.opening import open_storage, sqlite_url

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    run = RunFolder(folder)
    run.write(describe_study())
    storage = open_storage(sqlite_url(run.database))
    study = optuna.create_study(storage=storage, study_name=STUDY, direction="maximize")
    fill_database(storage, study._study_id, size)


def open_recorded(folder: Path, pruner: str = "none") -> Any:
    """Open the run's study as ``resume`` does."""
    import optuna

    from searchlab.records.run_folder import RunFolder
    from searchlab.records.storage.opening import open_storage, sqlite_url
    from searchlab.search.pruning.registry import make_pruner
    from searchlab.search.samplers.registry import make_sampler

    spec = make_spec(pruner)
    return optuna.load_study(
        storage=open_storage(sqlite_url(RunFolder(folder).database)),
        study_name=STUDY,
        sampler=make_sampler(spec, make_space(spec)),
        pruner=make_pruner(pruner, epochs=EPOCHS),
    )


def make_optuna_pruner(name: str) -> Any:
    """Return Optuna's own pruner with the project's settings."""
    from optuna.pruners import HyperbandPruner, MedianPruner, SuccessiveHalvingPruner

    if name == "median":
        return MedianPruner(n_startup_trials=5, n_warmup_steps=1 + max(1, EPOCHS // 5))
    if name == "successive_halving":
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    assert name == "hyperband", name
    return HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3)


def open_ledger(folder: Path, study: Any, pruner: str = "none") -> Any:
    """Return the ledger of a resumed study."""
    from searchlab.study.ledger import Ledger
    from searchlab.study.plan import plan_study

    spec = make_spec(pruner)
    plan = plan_study(spec, make_space(spec))
    return Ledger(plan=plan, study=study, checkpoints=folder / "checkpoints")


def open_in_memory(size: int) -> Any:
    """Return a plain Optuna study of the same trials, with the sampler that the project uses."""
    import optuna

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(
            multivariate=True, group=True, constant_liar=True, seed=0
        ),
    )
    for trial in make_templates(size):
        study._storage.create_new_trial(study._study_id, template_trial=trial)
    return study


def make_result(config: Any, epoch: int, value: float) -> Any:
    """Return the result that a worker would send."""
    from searchlab.config.trained_folds import FoldMetrics
    from searchlab.training.results import EpochResult

    fold = FoldMetrics(
        fold=0,
        training={"loss": 1.0 - value, "accuracy": value},
        validation={"loss": 1.0 - value, "accuracy": value},
    )
    return EpochResult(
        number=config.number,
        epoch=epoch,
        folds=(fold,),
        value=value,
        best_value=value,
        best_epoch=epoch,
        fold_values=(value,),
        fold_epoch=epoch,
        seconds=0.5,
        figures={"parameters": 100_000},
        done=epoch == config.settings.epochs,
    )
