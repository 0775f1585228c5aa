"""What a sampler sees of a study: the search's own trials, in the user's own space."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution, CategoricalDistribution

from searchlab.records.optuna_internals import show_only, storage_of, study_id_of
from searchlab.records.trial_record import ROLE

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from searchlab.search.space.study_space import NarrowedChoice

__all__ = ["SearchedTrials"]


class SearchedTrials:
    """Translates between a study as it is recorded and the search that a sampler knows of.

    A study's trials are recorded with the baselines' families among the choices of ``family``
    (``recorded``); a sampler is offered the user's choices only (``searched``).
    """

    def __init__(self, narrowed: Mapping[str, NarrowedChoice]) -> None:
        self._searched: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(choice.searched) for name, choice in narrowed.items()
        }
        self._recorded: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(choice.recorded) for name, choice in narrowed.items()
        }
        self._choices = {name: choice.searched for name, choice in narrowed.items()}
        # Each finished trial by number, with what the sampler sees of it.
        self._finished: dict[int, tuple[FrozenTrial, FrozenTrial | None]] = {}

    def of(self, study: Study) -> Study:
        """Return the study as its sampler sees it.

        Baselines, finalists and confirmations are left out, and so are search trials outside the
        space: a study that an earlier searchlab recorded may have some. The trials of all of
        Hyperband's brackets are there.
        """
        trials = storage_of(study).get_all_trials(study_id_of(study), deepcopy=False)
        shown = [self._see(trial) for trial in trials]
        return show_only(study, [trial for trial in shown if trial is not None])

    def _see(self, trial: FrozenTrial) -> FrozenTrial | None:
        """Return a trial as the sampler sees it, if it does; a finished one is looked at once."""
        known = self._finished.get(trial.number)
        if known is not None and known[0] is trial:
            return known[1]
        seen = self._narrow(trial)
        if trial.state.is_finished():
            self._finished[trial.number] = (trial, seen)
        return seen

    def _narrow(self, trial: FrozenTrial) -> FrozenTrial | None:
        chosen = {name: trial.params[name] for name in self._choices if name in trial.params}
        is_outside = any(value not in self._choices[name] for name, value in chosen.items())
        if trial.user_attrs.get(ROLE, "search") != "search" or is_outside:
            return None
        if not chosen:
            return trial
        narrowed = copy.copy(trial)
        narrowed.distributions = self.to_searched(trial.distributions)
        return narrowed

    def to_searched(self, space: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
        """Return what a sampler draws from, of what is recorded."""
        return {name: self._searched.get(name, node) for name, node in space.items()}

    def to_recorded(self, space: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
        """Return what is recorded, of what a sampler draws from."""
        return {name: self._recorded.get(name, node) for name, node in space.items()}
