"""The sampler that a study has if it names none: a Gaussian process, and TPE once that is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler
from optuna.trial import TrialState

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["AUTO_GP_TRIALS", "AutoSampler"]

AUTO_GP_TRIALS = 150
"""So many finished trials the Gaussian process learns from: its time grows with their cube."""

_TAUGHT = (TrialState.COMPLETE, TrialState.PRUNED)


class AutoSampler(BaseSampler):
    """Asks ``first`` until ``AUTO_GP_TRIALS`` search trials have taught something, then ``later``.

    Only the study's trials decide, so that a study that was killed and resumed asks the same.
    """

    def __init__(self, first: BaseSampler, later: BaseSampler) -> None:
        self._first = first
        self._later = later

    def _choose(self, study: Study) -> BaseSampler:
        taught = study.get_trials(deepcopy=False, states=_TAUGHT)
        return self._first if len(taught) < AUTO_GP_TRIALS else self._later

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See optuna."""
        return self._choose(study).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See optuna."""
        return self._choose(study).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See optuna."""
        sampler = self._choose(study)
        return sampler.sample_independent(study, trial, param_name, param_distribution)
