"""The values that a search trial is compared with, kept sorted as other trials end.

Optuna's pruners go through all trials at every report, and read the running ones whole first.
Beside 10,000 finished trials and 64 running ones that takes longer than a report may.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from searchlab.records.optuna_internals import storage_of, study_id_of, trial_id_of
from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.records.trial_record import ROLE, SAME_AS

__all__ = ["PeerValues"]

_K = TypeVar("_K")
_UNFINISHED = tuple(state for state in TrialState if not state.is_finished())


class PeerValues(Generic[_K]):
    """The values of one study's search trials that have ended, by a key of the pruner's.

    Baselines and finalists are nobody's peers, nor are trials that have another one's result. Among
    a dozen hand-picked baselines, which run first and are never pruned, a median would let no
    search trial live: 24 of 24 were pruned in a random search beside 13 of them.

    ``values_of`` returns the keys and values of a trial, which is given to it once.
    """

    def __init__(
        self, values_of: Callable[[Study, FrozenTrial], Iterable[tuple[_K, float]]]
    ) -> None:
        self._values_of = values_of
        self._values: dict[_K, list[float]] = defaultdict(list)
        self._last_id = -1  # of the trials that have been seen
        self._unfinished: set[int] = set()  # the ids of those that had not ended

    def at(self, key: _K) -> Sequence[float]:
        """Return the values of a key in ascending order."""
        return self._values.get(key, ())

    def refresh(self, study: Study) -> None:
        """Take in the trials that ended since the last call, whichever driver ran them."""
        states = self._read_states(study)
        self._last_id = max([self._last_id, *states])
        self._unfinished = {key for key, state in states.items() if not state.is_finished()}
        for trial_id in sorted(states.keys() - self._unfinished):
            trial = storage_of(study).get_trial(trial_id)
            attributes = trial.user_attrs
            if attributes.get(ROLE, "search") == "search" and SAME_AS not in attributes:
                for key, value in self._values_of(study, trial):
                    insort(self._values[key], value)

    def _read_states(self, study: Study) -> dict[int, TrialState]:
        """Return the states of the trials that are new, or had not ended when last seen, by id."""
        database = _database_of(study)
        if database is not None and self._last_id >= 0:
            return database.read_states(
                study_id_of(study), also=self._unfinished, after=self._last_id
            )
        # At first everything: the driver has read it before, and Optuna caches what has ended.
        trials = {trial_id_of(trial): trial for trial in study.get_trials(deepcopy=False)}
        return {
            trial_id: trial.state
            for trial_id, trial in trials.items()
            if trial_id > self._last_id or trial_id in self._unfinished
        }

    def read_running(self, study: Study, attribute: str) -> list[tuple[int, float]]:
        """Return the number and value of each unfinished trial that has a system attribute."""
        database = _database_of(study)
        if database is not None:
            return database.read_system_attribute(self._unfinished, attribute)
        trials = study.get_trials(deepcopy=False, states=_UNFINISHED)
        return [
            (trial.number, trial.system_attrs[attribute])
            for trial in trials
            if attribute in trial.system_attrs
        ]


def _database_of(study: Study) -> RetryingStorage | None:
    """Return the study's storage if it is a database, whose rows can be read one by one."""
    storage = storage_of(study)
    return storage if isinstance(storage, RetryingStorage) else None
