"""Storages that fail on purpose: before a call took effect, or after, the answer being lost."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import optuna
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.records.trial_record import CREATED_BY

When = Literal["before", "after"]
METHODS = sorted(BaseStorage.__abstractmethods__)


def make_outage(code: int = sqlite3.SQLITE_BUSY, text: str = "gone") -> StorageInternalError:
    """What Optuna raises when its database is away."""
    driver_error = sqlite3.OperationalError(text)
    driver_error.sqlite_errorcode = code
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = sqlalchemy.exc.OperationalError("COMMIT", None, driver_error)
    return error


class Faults:
    """Which calls fail: every first try of ``method``, or each call while ``always``."""

    def __init__(self, method: str = "", when: When = "before", *, always: bool = False) -> None:
        self.method = method
        self.when = when
        self.always = always
        self.error: Exception = make_outage()
        self.struck = 0
        self._is_retry = False

    def call(self, name: str, action: Callable[[], Any]) -> Any:
        strikes = self.always or (name == self.method and not self._is_retry)
        if name == self.method:
            self._is_retry = not self._is_retry
        if not strikes:
            return action()
        self.struck += 1
        if self.when == "after":
            action()
        raise self.error


class _StampedTrials(InMemoryStorage):
    """A storage in memory that makes one trial for each stamp, as our database does."""

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        assert template_trial is not None
        for trial in self.get_all_trials(study_id, deepcopy=False):
            if trial.system_attrs.get(CREATED_BY) == template_trial.system_attrs[CREATED_BY]:
                return trial._trial_id
        return super().create_new_trial(study_id, template_trial)


class Claims:
    """Stands for a database over a storage in memory: a claim is exact, however often repeated."""

    def __init__(self, storage: BaseStorage, faults: Faults) -> None:
        self._storage = storage
        self._faults = faults
        self._claimers: dict[int, str] = {}

    def claim(self, trial_id: int, claimer: str) -> bool:
        def act() -> bool:
            if self._claimers.get(trial_id) == claimer:
                return True
            is_claimed = self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            if is_claimed:
                self._claimers[trial_id] = claimer
            return is_claimed

        return bool(self._faults.call("set_trial_state_values", act))

    def check_driven(self) -> None:
        """Find nothing wrong: no driver's study is watched over."""


def make_retrying(
    faults: Faults | None = None, inner: BaseStorage | None = None, **options: Any
) -> RetryingStorage:
    """A storage that retries calls to one that fails as the faults say."""
    faults = faults or Faults()
    storage = inner or _StampedTrials()
    options = {"url": "postgresql://me:geheim@db/x", **options}
    database: Any = Claims(storage, faults)
    return RetryingStorage(_make_flaky(faults, storage), database=database, **options)


def _make_flaky(faults: Faults, storage: BaseStorage) -> BaseStorage:
    """A storage that hands on every method of Optuna's interface, if the faults let it."""

    def hand_on(name: str) -> Callable[..., Any]:
        def method(self: BaseStorage, *values: Any, **named: Any) -> Any:
            return faults.call(name, lambda: getattr(storage, name)(*values, **named))

        return method

    methods = {name: hand_on(name) for name in METHODS}
    return type("FlakyStorage", (BaseStorage,), methods)()


@contextmanager
def flaky_commits(storage: RetryingStorage, when: When) -> Iterator[list[int]]:
    """About every third commit of a database fails; yields the list of them."""
    dialect = storage.database.engine.dialect
    commit = dialect.do_commit
    struck: list[int] = []
    draws = random.Random(0)

    def strike(connection: Any) -> None:
        if struck and draws.random() < 0.7:
            return commit(connection)
        struck.append(len(struck))
        if when == "after":
            commit(connection)
        error = sqlite3.OperationalError("gone")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    dialect.do_commit = strike
    try:
        yield struck
    finally:
        dialect.do_commit = commit


def use_storage(storage: BaseStorage) -> list[tuple[Any, ...]]:
    """Do with a storage all that a driver does; return what it then holds."""
    study = optuna.create_study(
        study_name="used",
        storage=storage,
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.set_user_attr("who", "me")
    storage.set_study_system_attr(study._study_id, "system", [1])
    assert storage.get_study_system_attrs(study._study_id) == {"system": [1]}
    study.enqueue_trial({"x": 0.25})
    states = [None, TrialState.PRUNED, TrialState.FAIL, None]
    for place, state in enumerate(states):
        trial = study.ask()
        value = trial.suggest_float("x", 0, 1)
        for epoch in (1, 2):
            trial.report(value / epoch, epoch)
        trial.set_user_attr("place", place)
        storage.set_trial_system_attr(trial._trial_id, "system", place)
        study.tell(trial, value if state is None else None, state=state)
    study.add_trial(optuna.create_trial(value=2.0, params={}, distributions={}))
    storage.delete_study(storage.create_new_study(study.directions, "deleted"))
    return describe(storage)


def describe(storage: BaseStorage) -> list[tuple[Any, ...]]:
    """All that a storage holds as plain values, without times and marks."""
    rows: list[tuple[Any, ...]] = []
    for found in storage.get_all_studies():
        study = optuna.load_study(study_name=found.study_name, storage=storage)
        rows.append((found.study_name, study.directions, study.user_attrs))
        assert storage.get_study_name_from_id(found._study_id) == found.study_name
        for trial in study.get_trials():
            trial_id = storage.get_trial_id_from_study_id_trial_number(
                found._study_id, trial.number
            )
            assert storage.get_trial(trial_id).number == trial.number
            rows.append(
                (
                    trial.number,
                    trial.state.name,
                    trial.values,
                    trial.params,
                    trial.intermediate_values,
                    trial.user_attrs,
                    sorted(key for key in trial.system_attrs if not key.startswith("searchlab")),
                )
            )
        rows.append(("best", study.best_trial.number))
    return rows
