"""Tiny studies on the digits, run by an engine in this process or by a driver in another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import optuna
import yaml

from searchlab.config.loading import load_study
from searchlab.engine.launch import RunOptions, begin_study, resume_study
from searchlab.records.run_folder import RunFolder

Engine = Literal["tune", "serial"]
NO_DATA = Path("/nonexistent")  # the digits come with scikit-learn

PUBLISHED: dict[str, Any] = {
    "source": "a report",
    "rows": [{"table": "t", "name": "n", "trial": "search", "figures": {"accuracy": 99.5}}],
}
STUDY: dict[str, Any] = {
    "name": "tiny",
    "dataset": "digits",
    "space": {
        "parameters": {
            "lr": {"low": 1e-3, "high": 1e-1, "log": True},
            "batch_size": [256, 512],
            "dropout": {"low": 0.0, "high": 0.3},
            "family": {
                "cnn": {"depth": 1, "width": {"each_layer": [4, 8]}},
                "fcn": {"depth": [1, 2], "width": [8, 16]},
            },
        }
    },
    "search": {"sampler": "tpe", "pruner": "median", "trials": 12, "seed": 3},
    "training": {"epochs": 4, "batch_size": 256},
    "validation": {"folds": 2, "search_folds": 1},
    "baselines": {"architectures": ["a2"], "schemes": ["HF", "DT"]},
    "confirm": {"top": 2, "repeats": 0},
    "resources": {"cpus": 1, "workers": 1},
    "report": {"diagnostics": []},
}


# Changes that leave a study of a single search trial, of one epoch.
ONE_TRIAL: dict[str, Any] = {
    "search": {"trials": 1},
    "training": {"epochs": 1},
    "baselines": {"architectures": []},
    "confirm": {"top": 0},
}


def write_study(folder: Path, **changes: Any) -> Path:
    """Write the tiny study with some sections updated; return its file."""
    data = dict(STUDY)
    for name, value in changes.items():
        before = data.get(name, {})
        updates = name != "space" and isinstance(value, dict) and isinstance(before, dict)
        data[name] = {**before, **value} if updates else value
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def run_study(
    folder: Path, engine: Engine, *, data_dir: Path = NO_DATA, **changes: Any
) -> RunFolder:
    """Run the tiny study in this process, from its first trial to its end."""
    run = RunFolder(folder / "runs" / "tiny")
    file = load_study(write_study(folder, **changes))
    begin_study(file, run, RunOptions(data_dir=data_dir, engine=engine))
    return run


def resume(run: RunFolder, engine: Engine = "serial") -> None:
    resume_study(run, RunOptions(data_dir=NO_DATA, engine=engine))


def read_trials(run: RunFolder) -> list[optuna.trial.FrozenTrial]:
    """Return the trials as plain Optuna reads them."""
    [name] = optuna.get_all_study_names(run.storage_url())
    return optuna.load_study(study_name=name, storage=run.storage_url()).trials


def describe_trials(run: RunFolder) -> list[dict[str, Any]]:
    """All that a study says of its trials, but for times and places."""
    return [
        {
            "number": trial.number,
            "state": trial.state.name,
            "params": trial.params,
            "values": trial.values,
            "intermediate": trial.intermediate_values,
            "attrs": {k: v for k, v in trial.user_attrs.items() if k not in {"seconds", "node"}},
        }
        for trial in read_trials(run)
    ]


def search_command(*arguments: object) -> list[str]:
    """The command line of ``searchlab study ...``."""
    return [sys.executable, "-m", "searchlab", "study", *map(str, arguments)]
