"""A study with one of everything that Optuna can record, and its contents as comparable text."""

from __future__ import annotations

import json
import math
import tempfile
import warnings
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from searchlab.records.storage.opening import open_storage, sqlite_url

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.75, step=0.25),
    "cnn.depth": IntDistribution(1, 9, step=2),
    "odd": CategoricalDistribution((None, True, 1.5, 3, "text")),
}
ANSWERS = {
    "labels": "eNpjYGBkYAJiAAAYAAU=",
    "guesses": "eNpjYGBkYAJiAAAYAAU=",
    "losses": None,
}
CURVES = {"train_loss": [[0.5, 0.25], [0.125, 0.1]], "seconds": [0.1, 0.30000000000000004]}


def make_trial(number: int, state: TrialState, **changes: Any) -> FrozenTrial:
    """Return a trial of that state with everything that such a trial can have."""
    moment = datetime(2026, 3, 4, 5, 6, 7, 89_012)
    begun = state != TrialState.WAITING
    fields: dict[str, Any] = {
        "values": [0.1 + 0.2, math.inf] if state == TrialState.COMPLETE else None,
        "datetime_start": moment if begun else None,
        "datetime_complete": moment.replace(hour=9) if state.is_finished() else None,
        "params": {"lr": 0.0123, "dropout": 0.5, "cnn.depth": 7, "odd": None} if begun else {},
        "user_attrs": {"role": "search", "fold_values": [0.1, None], "ü": {"a": [1, True]}},
        "system_attrs": {
            "searchlab:curves": CURVES,
            "searchlab:machines": [{"device": "cpu", "torch": "2.15.0", "num_threads": 1}],
            "searchlab:test_answers": ANSWERS,
            "searchlab:origin": f"driver/{number}",
        },
        "intermediate_values": {0: 0.1, 1: math.nan, 2: math.inf, 7: -math.inf} if begun else {},
    }
    fields |= changes
    fields["distributions"] = {name: DISTRIBUTIONS[name] for name in fields["params"]}
    return FrozenTrial(number=number, trial_id=-1, state=state, value=None, **fields)


STATES = [
    TrialState.COMPLETE,
    TrialState.RUNNING,
    TrialState.FAIL,
    TrialState.WAITING,
    TrialState.PRUNED,
    TrialState.COMPLETE,
]


# What searchlab itself never records, so that no import takes it.
FINITE: dict[str, Any] = {
    "values": [0.1 + 0.2, 12.5],
    "user_attrs": {"role": "search", "fold_values": [0.1, 0.5], "ü": {"a": [1, True, None]}},
}


def make_rich_study(
    storage: BaseStorage, name: str = "rich", *, finite: bool = False
) -> optuna.Study:
    """Record a study with trials of every state, two objectives and attributes of both kinds.

    Some of its values are infinite or missing, unless all are to be ``finite``.
    """
    study = optuna.create_study(
        storage=storage, study_name=name, directions=["maximize", "minimize"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(["accuracy", "latency_ms"])
    study.set_user_attr("searchlab.version", "0.1.0")
    study.set_user_attr("searchlab.progress", {"finished": False, "totals": {"search": 6}})
    storage.set_study_system_attr(study._study_id, "note", ["some", {"text": 1}])
    for number, state in enumerate(STATES):
        changes = dict(FINITE) if finite else {}
        if state != TrialState.COMPLETE:
            changes.pop("values", None)
        storage.create_new_trial(study._study_id, make_trial(number, state, **changes))
    return study


@cache
def rich_database(*, finite: bool = False) -> bytes:
    """Return an SQLite file with that study: making one takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.db"
        with closing(open_storage(sqlite_url(file))) as storage:
            make_rich_study(storage, finite=finite)
        assert [path.name for path in Path(folder).iterdir()] == ["study.db"], "it is all there"
        return file.read_bytes()


def describe_study(storage: BaseStorage, name: str = "rich") -> str:
    """Return all that a storage says of a study, but for its ids."""
    study_id = storage.get_study_id_from_name(name)
    trials = storage.get_all_trials(study_id)
    data = [
        [direction.name for direction in storage.get_study_directions(study_id)],
        storage.get_study_user_attrs(study_id),
        storage.get_study_system_attrs(study_id),
        [_describe_trial(trial) for trial in trials],
    ]
    return json.dumps(data, indent=1, sort_keys=True)


def _describe_trial(trial: FrozenTrial) -> list[object]:
    return [
        trial.number,
        trial.state.name,
        None if trial.values is None else list(trial.values),
        str(trial.datetime_start),
        str(trial.datetime_complete),
        trial.params,
        {name: distribution_to_json(one) for name, one in trial.distributions.items()},
        trial.user_attrs,
        trial.system_attrs,
        {str(step): value for step, value in trial.intermediate_values.items()},
    ]
