"""Asynchronous successive halving (Li et al. 2020) and Hyperband, as Optuna applies them.

A trial reaches rung r of bracket b at epoch first * factor**(b + r). Its value there is a system
attribute of the trial, under Optuna's name, so that other drivers and later runs of the study see
it.
"""

from __future__ import annotations

import binascii
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from searchlab.records.optuna_internals import write_system_attribute
from searchlab.search.pruning.peers import PeerValues

__all__ = ["HyperbandPruner", "SuccessiveHalvingPruner"]

_RUNG = "completed_rung_"  # Optuna's prefix


class SuccessiveHalvingPruner(BasePruner):
    """Stops a trial that is not in the best third (or other ``factor``) of its peers at a rung.

    Peers are the search trials of the same bracket that have reached the rung, running or not. The
    first rung is at ``first_epoch``.
    """

    def __init__(self, *, factor: int = 3, first_epoch: int = 1) -> None:
        self._factor = factor
        self._first_epoch = first_epoch
        self._peers: PeerValues[tuple[int, str]] = PeerValues(self._values_of)

    def bracket_of(self, study: Study, number: int) -> int:
        """Return the bracket in which a trial is halved."""
        return 0

    def _values_of(
        self, study: Study, trial: FrozenTrial
    ) -> Iterator[tuple[tuple[int, str], float]]:
        bracket = self.bracket_of(study, trial.number)
        for key, value in trial.system_attrs.items():
            if key.startswith(_RUNG):
                yield (bracket, key), value

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial should stop at its last reported epoch."""
        if trial.last_step is None:
            return False
        bracket = self.bracket_of(study, trial.number)
        value = trial.intermediate_values[trial.last_step]
        for rung in self._rungs_reached(trial, bracket):
            if math.isnan(value) or not self._is_promoted(study, trial, bracket, rung, value):
                return True
        return False

    def _is_promoted(
        self, study: Study, trial: FrozenTrial, bracket: int, rung: int, value: float
    ) -> bool:
        """Record the value, and return whether it is among the best at the rung.

        The trial's own value, which may be there already after a crash, is not a peer's.
        """
        key = f"{_RUNG}{rung}"
        self._peers.refresh(study)
        write_system_attribute(study, trial, key, value)
        ended = self._peers.at((bracket, key))
        running = [
            other
            for number, other in self._peers.read_running(study, key)
            if number != trial.number and self.bracket_of(study, number) == bracket
        ]
        if study.direction == StudyDirection.MAXIMIZE:
            num_better = len(ended) - bisect_right(ended, value)
            num_better += sum(other > value for other in running)
        else:
            num_better = bisect_left(ended, value) + sum(other < value for other in running)
        # The first trials at a rung, too few for one of them to go on, must be the best.
        return num_better < max(1, (len(ended) + len(running) + 1) // self._factor)

    def _rungs_reached(self, trial: FrozenTrial, bracket: int) -> Iterator[int]:
        """Yield the rungs that the trial reached with its last report."""
        *earlier, last = sorted(trial.intermediate_values)
        rung = 0
        while (step := self._first_epoch * self._factor ** (bracket + rung)) <= last:
            if step > max(earlier, default=0):
                yield rung
            rung += 1


class HyperbandPruner(SuccessiveHalvingPruner):
    """Successive halving in several brackets, the later ones with a later first rung.

    A trial's bracket follows from the study's name and the trial's number, by Optuna's formula.
    """

    def __init__(self, *, epochs: int) -> None:
        super().__init__()
        num_brackets = math.floor(math.log(epochs, self._factor)) + 1
        # The share of the trials that each bracket gets.
        self._budgets = [
            math.ceil(num_brackets * self._factor ** (left - 1) / left)
            for left in range(num_brackets, 0, -1)
        ]

    def bracket_of(self, study: Study, number: int) -> int:
        """Return the bracket in which a trial is halved."""
        place = binascii.crc32(f"{study.study_name}_{number}".encode()) % sum(self._budgets)
        bracket = 0
        while place >= self._budgets[bracket]:
            place -= self._budgets[bracket]
            bracket += 1
        return bracket
