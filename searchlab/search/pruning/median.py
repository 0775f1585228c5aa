"""The median stopping rule of Google Vizier (Golovin et al. 2017), as Optuna applies it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searchlab.search.pruning.peers import PeerValues

__all__ = ["MedianPruner"]


class MedianPruner(BasePruner):
    """Stops a trial whose best value so far is worse than its peers' median at the same epoch.

    It stops nothing during a trial's first ``warmup_epochs``, nor before ``startup_trials`` of the
    peers are complete. Pruned and failed trials have no say in the median.
    """

    def __init__(self, *, startup_trials: int, warmup_epochs: int) -> None:
        self._startup_trials = max(1, startup_trials)
        self._warmup_epochs = warmup_epochs
        self._num_complete = 0
        self._peers: PeerValues[int] = PeerValues(self._values_of)

    def _values_of(self, study: Study, trial: FrozenTrial) -> Iterator[tuple[int, float]]:
        if trial.state == TrialState.COMPLETE:
            self._num_complete += 1
            for step, value in trial.intermediate_values.items():
                if not math.isnan(value):
                    yield step, value

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial should stop at its last reported epoch."""
        step = trial.last_step
        if step is None or step <= self._warmup_epochs:
            return False
        self._peers.refresh(study)
        if self._num_complete < self._startup_trials:
            return False
        values = [value for value in trial.intermediate_values.values() if not math.isnan(value)]
        if not values:
            return True
        peers = self._peers.at(step)
        if not peers:
            return False
        middle = peers[(len(peers) - 1) // 2 : len(peers) // 2 + 1]
        # Numpy's own median, because a mean of two values would round differently.
        median = float(np.percentile(np.array(middle, dtype=float), 50.0))
        if math.isnan(median):  # the middle lies between two infinite values
            return False
        if study.direction == StudyDirection.MAXIMIZE:
            return max(values) < median
        return min(values) > median
