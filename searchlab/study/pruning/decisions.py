"""Whether a pruner stops a trial: Optuna's rules, asked of sorted peers.

They come to the very verdicts of ``MedianPruner.prune`` and ``SuccessiveHalvingPruner.prune``,
without going through every finished trial each time.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.pruners import PercentilePruner, SuccessiveHalvingPruner
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from searchlab.study.pruning.peers import PeerValues, rung_key
from searchlab.study.trial_record import ROLE

__all__ = ["Verdict", "ask_pruner", "judge_by_halving", "judge_by_median"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a trial stops, and what is to be noted in its system attributes."""

    pruned: bool
    notes: dict[str, Any] = field(default_factory=dict)


def judge_by_median(
    pruner: PercentilePruner, trial: FrozenTrial, peers: PeerValues, direction: StudyDirection
) -> Verdict:
    """Stop a trial whose best value so far is worse than the peers' median at its last step."""
    assert (pruner._percentile, pruner._interval_steps, pruner._n_min_trials) == (50.0, 1, 1)
    step = trial.last_step
    if step is None or step < pruner._n_warmup_steps:
        return Verdict(pruned=False)
    peers.refresh()
    if peers.num_complete == 0 or peers.num_complete < pruner._n_startup_trials:
        return Verdict(pruned=False)
    values = [value for value in trial.intermediate_values.values() if not math.isnan(value)]
    if not values:
        return Verdict(pruned=True)
    middle = peers.at_step(step).middle()
    if not middle:
        return Verdict(pruned=False)
    # Optuna's own function, since a mean of the two rounds otherwise.
    median = float(np.nanpercentile(np.array(middle, dtype=float), 50.0))
    if math.isnan(median):  # between two infinite ones
        return Verdict(pruned=False)
    if direction == StudyDirection.MAXIMIZE:
        return Verdict(pruned=max(values) < median)
    return Verdict(pruned=min(values) > median)


def judge_by_halving(
    pruner: SuccessiveHalvingPruner,
    trial: FrozenTrial,
    peers: PeerValues,
    direction: StudyDirection,
    *,
    bracket: int = 0,
) -> Verdict:
    """Stop a trial that is not in the best part of those that reached the same rung."""
    assert pruner._min_resource is not None
    assert pruner._bootstrap_count == 0
    factor = pruner._reduction_factor
    step = trial.last_step
    if step is None:
        return Verdict(pruned=False)
    value = trial.intermediate_values[step]
    rung = 0
    while rung_key(rung) in trial.system_attrs:
        rung += 1
    notes: dict[str, Any] = {}
    while step >= pruner._min_resource * factor ** (pruner._min_early_stopping_rate + rung):
        if math.isnan(value):
            return Verdict(pruned=True, notes=notes)
        if not notes:
            peers.refresh()
        notes[rung_key(rung)] = value
        others = peers.at_rung(bracket, rung_key(rung))
        maximise = direction == StudyDirection.MAXIMIZE
        num_better = others.count_above(value) if maximise else others.count_below(value)
        if num_better >= max(1, (len(others) + 1) // factor):
            return Verdict(pruned=True, notes=notes)
        rung += 1
    return Verdict(pruned=False, notes=notes)


def ask_pruner(study: Study, trial: FrozenTrial) -> Verdict:
    """Let the pruner itself go through the search trials; slow, for any pruner whatever."""
    noting = _NotingStorage(study._storage)
    shadow = copy.copy(study)
    shadow._storage = noting  # type: ignore[assignment]
    pruned = bool(study.pruner.prune(shadow, trial))
    return Verdict(pruned=pruned, notes=noting.notes)


class _NotingStorage:
    """A storage that keeps what the pruner writes for later, and shows it search trials alone."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self.notes: dict[str, Any] = {}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.notes[key] = value  # a pruner notes what it decides of the trial at hand

    def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        trials = self._storage.get_all_trials(*args, **kwargs)
        return [trial for trial in trials if trial.user_attrs.get(ROLE, "search") == "search"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)
