"""What a trial costs on top of its training: this engine against what you would use instead.

Each runs the same trivial trial of ten epochs, over the same five parameters, with two workers, and
writes every epoch to an SQLite file:

- searchlab: its ledger, its adapters to Ray Tune, its storage; only the training is removed;
- tune_optuna: Ray Tune with OptunaSearch and a function trainable, all with their defaults;
- optimize: plain ``study.optimize(n_jobs=2)``, without Ray.

All three write to SQLite with searchlab's settings (WAL), which favours the other two. Each runs in
its own process. The time of an experiment is from its first ask to its last tell, as recorded in
the storage; it excludes starting Ray but includes starting workers.

    python benchmarks/engine.py
    python benchmarks/engine.py --repeats 3 --json
    python benchmarks/engine.py --variant searchlab --profile
"""

from __future__ import annotations

import argparse
import cProfile
import functools
import json
import os
import platform
import pstats
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

EPOCHS = 10
WORKERS = 2
STUDY = "engine-benchmark"

LR = (1.0e-4, 1.0e-1)
DROPOUT = (0.0, 0.7)
WEIGHT_DECAY = (1.0e-6, 1.0e-2)
BATCH_SIZES = [32, 64, 128]
INITS = ["default", "kaiming_normal", "xavier_normal"]


def make_value(lr: float, dropout: float, epoch: int) -> float:
    """Replace training: return an accuracy computed from the parameters and the epoch."""
    return (1.0 - dropout) * (1.0 - lr) * epoch / (epoch + 1.0)


# searchlab


def run_searchlab(num_trials: int, storage: Any, folder: Path) -> Callable[[], None]:
    """Return the experiment on this project's engine."""
    from searchlab.config.documents import Document
    from searchlab.config.loading import StudyFile
    from searchlab.config.study import StudySpec
    from searchlab.config.trained_folds import FoldMetrics
    from searchlab.config.trial import TrialConfig
    from searchlab.config.validation import validate_document
    from searchlab.engine.ray.tune import run_on_ray
    from searchlab.engine.session import RunSession
    from searchlab.engine.stopping import StopRequest
    from searchlab.study.ledger import Ledger
    from searchlab.study.preparation.prepared_study import prepare_study
    from searchlab.study.study_access import create_study
    from searchlab.training.results import EpochResult
    from searchlab.training.run import TrialFolders

    class TrivialRun:
        """Replaces TrialRun in the engine, without training."""

        def __init__(self, config: TrialConfig) -> None:
            self._config = config
            self._epoch = 0

        def step(self) -> EpochResult:
            self._epoch += 1
            settings = self._config.settings
            value = make_value(settings.lr, settings.dropout, self._epoch)
            fold = FoldMetrics(
                fold=0,
                training={"loss": 1.0 - value, "accuracy": value},
                validation={"loss": 1.0 - value, "accuracy": value},
            )
            return EpochResult(
                number=self._config.number,
                epoch=self._epoch,
                folds=(fold,),
                value=value,
                best_value=value,
                best_epoch=self._epoch,
                fold_values=(value,),
                fold_epoch=self._epoch,
                seconds=0.0,
                figures={"parameters": 1},
                done=self._epoch == settings.epochs,
            )

    def load_worker() -> type:
        from searchlab.engine.ray.worker import TrialActor

        class TrivialActor(TrialActor):  # type: ignore[misc]  # Ray ships no types
            """The engine's worker, with trials that train nothing."""

            def _begin(self) -> Any:
                return TrivialRun(TrialConfig.from_json(self._config_json))

        return TrivialActor

    data = {
        "name": STUDY,
        "dataset": {"name": "digits"},
        "space": {
            "parameters": {
                "lr": {"low": LR[0], "high": LR[1], "log": True},
                "dropout": {"low": DROPOUT[0], "high": DROPOUT[1]},
                "weight_decay": {"low": WEIGHT_DECAY[0], "high": WEIGHT_DECAY[1], "log": True},
                "batch_size": BATCH_SIZES,
                "init": INITS,
                "optimizer": "adamw",
                "family": {"fcn": {"depth": 1, "width": 64, "activation": "relu"}},
            }
        },
        "search": {"sampler": "tpe", "pruner": "none", "trials": num_trials},
        "training": {"epochs": EPOCHS},
        "baselines": {"architectures": []},
        "confirm": {"top": 0},
        "resources": {"cpus": 1, "gpus": 0, "workers": WORKERS},
    }
    document = Document(source="benchmark", data=data)
    file = StudyFile(spec=validate_document(StudySpec, document), document=document)
    prepared = prepare_study(file, data_dir=folder)
    ledger = Ledger(
        plan=prepared.plan,
        study=create_study(prepared, storage),
        checkpoints=folder / "checkpoints",
    )
    folders = TrialFolders(checkpoints=folder / "checkpoints", models=folder / "models")
    session = RunSession(ledger=ledger, prepared=prepared, folders=folders, stop=StopRequest())
    return lambda: run_on_ray(session, load_worker=load_worker)


# What you would use instead


def run_tune_optuna(num_trials: int, storage: Any, folder: Path) -> Callable[[], None]:
    """Return the experiment on Ray Tune and its OptunaSearch, with their defaults."""
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    def train(config: dict[str, Any]) -> None:
        for epoch in range(1, EPOCHS + 1):
            tune.report({"accuracy": make_value(config["lr"], config["dropout"], epoch)})

    space = {
        "lr": tune.loguniform(*LR),
        "dropout": tune.uniform(*DROPOUT),
        "weight_decay": tune.loguniform(*WEIGHT_DECAY),
        "batch_size": tune.choice(BATCH_SIZES),
        "init": tune.choice(INITS),
    }
    tuner = tune.Tuner(
        train,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            search_alg=OptunaSearch(storage=storage, study_name=STUDY),
            num_samples=num_trials,
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    )

    def run() -> None:
        ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
        tuner.fit()

    return run


def run_optimize(num_trials: int, storage: Any, folder: Path) -> Callable[[], None]:
    """Return the experiment on Optuna alone, in two threads."""
    del folder
    import optuna

    def train(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", *LR, log=True)
        dropout = trial.suggest_float("dropout", *DROPOUT)
        trial.suggest_float("weight_decay", *WEIGHT_DECAY, log=True)
        trial.suggest_categorical("batch_size", BATCH_SIZES)
        trial.suggest_categorical("init", INITS)
        for epoch in range(1, EPOCHS + 1):
            trial.report(make_value(lr, dropout, epoch), step=epoch)
        return make_value(lr, dropout, EPOCHS)

    study = optuna.create_study(storage=storage, study_name=STUDY, direction="maximize")
    return lambda: study.optimize(train, n_trials=num_trials, n_jobs=WORKERS)


VARIANTS: dict[str, Callable[[int, Any, Path], Callable[[], None]]] = {
    "searchlab": run_searchlab,
    "tune_optuna": run_tune_optuna,
    "optimize": run_optimize,
}


# Measuring


def connect(path: str) -> sqlite3.Connection:
    """Open SQLite as searchlab does; a function, because OptunaSearch must pickle it."""
    connection = sqlite3.connect(path, timeout=60.0, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def open_benchmark_storage(variant: str, path: Path) -> Any:
    """Open searchlab's storage for searchlab, an equal one for the others."""
    from optuna.storages import RDBStorage

    from searchlab.records.storage.opening import open_storage, sqlite_url

    if variant == "searchlab":
        return open_storage(sqlite_url(path))
    creator = functools.partial(connect, str(path))
    return RDBStorage(sqlite_url(path), engine_kwargs={"creator": creator})


def measure(variant: str, num_trials: int, profile: bool) -> float:
    """Run one experiment in this process; return its seconds per trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="searchlab-benchmark-") as name:
        storage = open_benchmark_storage(variant, Path(name) / "study.db")
        experiment = VARIANTS[variant](num_trials, storage, Path(name))
        if profile:
            profiler = cProfile.Profile()
            profiler.runcall(experiment)
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("cumtime").print_stats(60)
        else:
            experiment()
        trials = optuna.load_study(study_name=STUDY, storage=storage).trials
    # Skipping work is not speed.
    assert len(trials) == num_trials, len(trials)
    for trial in trials:
        assert trial.state == optuna.trial.TrialState.COMPLETE, trial
        assert len(trial.intermediate_values) >= EPOCHS, trial
        assert len(trial.params) >= 5, trial
    begin = min(trial.datetime_start for trial in trials if trial.datetime_start)
    end = max(trial.datetime_complete for trial in trials if trial.datetime_complete)
    return (end - begin).total_seconds() / num_trials


def measure_apart(variant: str, num_trials: int) -> float:
    """Run one experiment in its own process; return its seconds per trial."""
    command = [sys.executable, __file__, "--variant", variant, "--trials", str(num_trials)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{variant} failed:\n{done.stderr[-4000:]}")
    return float(done.stdout.splitlines()[-1])


def compare(num_trials: int, repeats: int) -> dict[str, Any]:
    """Measure all variants in turn, ``repeats`` times."""
    seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for _ in range(repeats):
        for variant, taken in seconds.items():
            taken.append(measure_apart(variant, num_trials))
            print(f"{variant}: {taken[-1]:.4f} s per trial", file=sys.stderr)
    medians = {variant: statistics.median(taken) for variant, taken in seconds.items()}
    ours = medians["searchlab"]
    return {
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "trials": num_trials,
        "epochs": EPOCHS,
        "workers": WORKERS,
        "seconds_per_trial": seconds,
        "median_seconds_per_trial": medians,
        "times_searchlab": {variant: value / ours for variant, value in medians.items()},
    }


def print_table(outcome: dict[str, Any]) -> None:
    """Print medians and ratios."""
    print(f"{'':12} {'s per trial':>12} {'x searchlab':>12}")
    for variant, median in outcome["median_seconds_per_trial"].items():
        print(f"{variant:12} {median:12.4f} {outcome['times_searchlab'][variant]:12.2f}")


def main() -> None:
    """Compare the variants, or run one for ``compare``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=1, help="take the median of this many runs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--variant", choices=VARIANTS, help="run only this one, in this process")
    parser.add_argument("--profile", action="store_true", help="with --variant: profile the driver")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.variant:
        print(measure(options.variant, options.trials, options.profile))
        return
    outcome = compare(options.trials, options.repeats)
    if options.json:
        print(json.dumps(outcome, indent=2))
    else:
        print_table(outcome)


if __name__ == "__main__":
    main()
