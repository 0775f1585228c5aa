"""The trials that a search trial is judged against, kept sorted as they end.

A pruner of Optuna's goes through all trials at every verdict, and first reads the running ones
whole: beside 10,000 finished trials and 64 running ones that takes longer than a report may.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial, TrialState

from searchlab.study.storage.faults import failure_types
from searchlab.study.storage.row_storage import RowStorage
from searchlab.study.trial_record import ROLE

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["PeerValues", "Values", "rung_key"]

_FINISHED = tuple(state for state in TrialState if state.is_finished())
_UNFINISHED = tuple(state for state in TrialState if not state.is_finished())
_RUNG = "completed_rung_"


def rung_key(rung: int) -> str:
    """Return the system attribute in which Optuna notes a trial's value at a rung."""
    return f"{_RUNG}{rung}"


@dataclass(frozen=True, slots=True)
class Values:
    """Numbers in order, and some that are not in order yet."""

    ordered: Sequence[float] = ()
    others: Sequence[float] = ()

    def __len__(self) -> int:
        return len(self.ordered) + len(self.others)

    def count_above(self, value: float) -> int:
        """Return how many are greater."""
        ordered = len(self.ordered) - bisect_right(self.ordered, value)
        return ordered + sum(other > value for other in self.others)

    def count_below(self, value: float) -> int:
        """Return how many are smaller."""
        return bisect_left(self.ordered, value) + sum(other < value for other in self.others)

    def middle(self) -> Sequence[float]:
        """Return the one in the middle of the order, or the two; ``others`` must be none."""
        assert not self.others
        return self.ordered[(len(self.ordered) - 1) // 2 : len(self.ordered) // 2 + 1]


@dataclass(slots=True, kw_only=True)
class PeerValues:
    """The search trials of a study. Baselines and finalists are nobody's peers.

    Among a dozen hand-picked baselines, which run first and are never pruned, a median would let
    no search trial live: 24 of 24 were pruned in a random search beside 13 of them.

    ``bracket_of`` a trial's number is the bracket in which it is halved.
    """

    storage: BaseStorage
    study_id: int
    bracket_of: Callable[[int], int]
    num_complete: int = 0
    _by_step: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    _by_rung: dict[tuple[int, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    _ended: set[int] = field(default_factory=set)  # all by their ids, as are the next two
    _unfinished: set[int] = field(default_factory=set)
    _last_seen: int | None = None

    def at_step(self, step: int) -> Values:
        """Return what the complete trials reported at a step, NaN left out."""
        return Values(self._by_step.get(step, ()))

    def at_rung(self, bracket: int, key: str) -> Values:
        """Return what the trials of a bracket, running ones too, were worth at a rung."""
        return Values(self._by_rung.get((bracket, key), ()), self._read_unfinished(bracket, key))

    def refresh(self) -> None:
        """Take in the trials that ended since the last time, whichever driver ran them."""
        for trial in self._read_ended():
            self._ended.add(trial._trial_id)
            self._unfinished.discard(trial._trial_id)
            if trial.user_attrs.get(ROLE, "search") == "search":
                self._add(trial)

    def _add(self, trial: FrozenTrial) -> None:
        if trial.state == TrialState.COMPLETE:
            self.num_complete += 1
            for step, value in trial.intermediate_values.items():
                if not math.isnan(value):
                    insort(self._by_step[step], value)
        for key, value in trial.system_attrs.items():
            if key.startswith(_RUNG):
                insort(self._by_rung[self.bracket_of(trial.number), key], value)

    def _read_ended(self) -> list[FrozenTrial]:
        if self._last_seen is None:
            return self._read_all()
        rows = _find_rows(self.storage)
        if rows is not None:
            try:
                states = rows.read_states(
                    self.study_id, also=self._unfinished, after=self._last_seen
                )
            except failure_types():
                pass  # an outage: the storage itself is asked, which may wait for its end
            else:
                self._last_seen = max([self._last_seen, *states])
                ended = {trial_id for trial_id, state in states.items() if state.is_finished()}
                self._unfinished = states.keys() - ended
                return [self.storage.get_trial(trial_id) for trial_id in sorted(ended)]
        trials = self.storage.get_all_trials(self.study_id, deepcopy=False, states=_FINISHED)
        return [trial for trial in trials if trial._trial_id not in self._ended]

    def _read_all(self) -> list[FrozenTrial]:
        """Begin with everything: a driver has read it before, and Optuna keeps what has ended."""
        trials = self.storage.get_all_trials(self.study_id, deepcopy=False)
        ended = [trial for trial in trials if trial.state.is_finished()]
        self._last_seen = max((trial._trial_id for trial in trials), default=-1)
        self._unfinished = {trial._trial_id for trial in trials} - {
            trial._trial_id for trial in ended
        }
        return ended

    def _read_unfinished(self, bracket: int, key: str) -> list[float]:
        """Return what running trials, another driver's among them, have noted at a rung."""
        noted = None
        rows = _find_rows(self.storage)
        if rows is not None:
            try:
                noted = rows.read_system_attribute(self._unfinished, key)
            except failure_types():
                pass  # as above
        if noted is None:
            trials = self.storage.get_all_trials(self.study_id, deepcopy=False, states=_UNFINISHED)
            noted = [(t.number, t.system_attrs[key]) for t in trials if key in t.system_attrs]
        return [value for number, value in noted if self.bracket_of(number) == bracket]


def _find_rows(storage: BaseStorage) -> RowStorage | None:
    """Return the database under what retries calls and under Optuna's cache, if it is one."""
    backend = getattr(getattr(storage, "inner", storage), "_backend", None)
    return backend if isinstance(backend, RowStorage) else None
