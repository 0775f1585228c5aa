"""Optuna's TPE for long studies: the same suggestions, each finished trial looked at once.

For every group of parameters Optuna divides all trials anew, and reads every value again. A
``History`` keeps what of that doesn't change, from trial to trial.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials, default_gamma, default_gamma_multiobjective
from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace, _SearchSpaceGroup
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.study import Study

__all__ = ["History", "QuickTPESampler"]

_Row = tuple[float, ...]  # a trial's values in a group as Optuna computes with them
_LEARNT_FROM = (TrialState.COMPLETE, TrialState.PRUNED)


class History(_GroupDecomposedSearchSpace):
    """What the samplers of one study's trials have in common."""

    def __init__(self) -> None:
        super().__init__(include_pruned=True)
        self._storage: BaseStorage | None = None
        self._forget()

    def _forget(self) -> None:
        self._seen: set[int] = set()  # trials, by id
        self._first: dict[frozenset[str], FrozenTrial] = {}  # with these parameters, by number
        self._rows: dict[tuple[Any, ...], dict[int, _Row | None]] = {}  # None: lacks one

    def calculate(self, study: Study, use_cache: bool = False) -> _SearchSpaceGroup:
        """See optuna: the groups of parameters that always come together.

        Parameters that came together before split no group any further, so only the first trial
        with each set of them counts, in the order of numbers whichever ended first.
        """
        if (study._storage, study._study_id) != (self._storage, self._study_id):
            self._storage, self._study_id = study._storage, study._study_id
            self._forget()  # another study's trials may have the same ids
        trials = study._get_trials(deepcopy=False, states=_LEARNT_FROM, use_cache=use_cache)
        for trial in trials:
            if trial._trial_id not in self._seen:
                self._seen.add(trial._trial_id)
                names = frozenset(trial.distributions)
                first = self._first.setdefault(names, trial)
                self._first[names] = min(first, trial, key=lambda known: known.number)
        group = _SearchSpaceGroup()
        for trial in sorted(self._first.values(), key=lambda known: known.number):
            group.add_distributions(trial.distributions)
        return group

    def rows_of(self, space: dict[str, BaseDistribution]) -> dict[int, _Row | None]:
        """Return what is known of finished trials' values in a group, by id, to be added to."""
        return self._rows.setdefault(tuple(space.items()), {})


def _represent(params: dict[str, Any], space: dict[str, BaseDistribution]) -> _Row | None:
    if not space.keys() <= params.keys():
        return None
    return tuple(node.to_internal_repr(params[name]) for name, node in space.items())


class QuickTPESampler(TPESampler):
    """TPE, multivariate, by groups and with a constant liar, for a single trial.

    Trials with constraints are not supported: the study has none.
    """

    def __init__(self, history: History, *, seed: int) -> None:
        super().__init__(multivariate=True, group=True, constant_liar=True, seed=seed)
        self._history = history
        self._group_decomposed_search_space = history
        self._divided: tuple[list[FrozenTrial], list[FrozenTrial]] | None = None

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._divided is None:  # once for all groups
            self._divided = _divide(study, trial.number)
        below, above = self._divided
        good = self._build_parzen_estimator(study, search_space, below, handle_below=True)
        rest = self._build_parzen_estimator(study, search_space, above, handle_below=False)
        drawn = good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(drawn, self._compute_acquisition_func(drawn, good, rest))
        return {name: node.to_external_repr(best[name]) for name, node in search_space.items()}

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        known = self._history.rows_of(search_space)
        rows = []
        for trial in trials:
            if trial.state == TrialState.RUNNING:
                row = _represent(self._get_params(trial, study), search_space)
            elif trial._trial_id in known:
                row = known[trial._trial_id]
            else:
                row = known[trial._trial_id] = _represent(trial.params, search_space)
            if row is not None:
                rows.append(row)
        columns = zip(*rows, strict=True) if rows else ((),) * len(search_space)
        return {
            name: np.asarray(column) for name, column in zip(search_space, columns, strict=True)
        }


def _divide(study: Study, number: int) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """Divide the other trials into the good ones and the rest, each by number."""
    states = (*_LEARNT_FROM, TrialState.RUNNING)
    trials = [
        trial
        for trial in study._get_trials(deepcopy=False, states=states, use_cache=False)
        if trial.number != number
    ]
    num_ended = sum(trial.state != TrialState.RUNNING for trial in trials)
    if len(study.directions) > 1:
        return _split_trials(study, trials, default_gamma_multiobjective(num_ended))
    num_good = default_gamma(num_ended)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if len(complete) < num_good:  # pruned ones are among the good
        return _split_trials(study, trials, num_good)
    choose = heapq.nsmallest if study.direction == StudyDirection.MINIMIZE else heapq.nlargest
    good = choose(num_good, complete, key=lambda trial: cast("float", trial.value))
    is_good = {trial.number for trial in good}
    return (
        [trial for trial in complete if trial.number in is_good],
        [trial for trial in trials if trial.number not in is_good],
    )
