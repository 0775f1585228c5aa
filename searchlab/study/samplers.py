"""The samplers, by name, each seeded anew for every trial."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from searchlab.config.seeds import derive_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

__all__ = ["DerivedSampler", "make_sampler"]


class DerivedSampler(BaseSampler):
    """Gives each trial a fresh sampler whose seed derives from the trial's number (DESIGN 7).

    A sampler with one stream of random numbers would give trial 12 other parameters after a
    restart than without one. Here they depend on the seed, the number and the finished trials
    only. A parameter that is sampled alone has a seed of its own, so that a trial cut off between
    two of its parameters is completed as it would have been.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._joint: BaseSampler | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See optuna: the parameters that are sampled together."""
        self._joint = self._derive(trial.number)
        return self._joint.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See optuna: sample them. Called right after ``infer_relative_search_space``."""
        assert self._joint is not None
        return self._joint.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See optuna: sample one parameter alone."""
        sampler = self._derive(trial.number, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """See optuna: some samplers note something at a trial's end."""
        self._derive(trial.number).after_trial(study, trial, state, values)

    def _derive(self, *key: int | str) -> BaseSampler:
        return self._make(derive_seed(self._seed, "sampler", *key) % 2**32)  # numpy takes 32 bits


def _make_tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ExperimentalWarning)
        # Without group, conditional parameters are sampled independently, in silence (DESIGN 4).
        return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return a sampler; the planned ones (grid, one_at_a_time) only ever see enqueued points."""
    makers: dict[str, Callable[[int], BaseSampler]] = {
        "tpe": _make_tpe,
        "random": lambda derived: RandomSampler(seed=derived),
        "grid": lambda derived: RandomSampler(seed=derived),
        "one_at_a_time": lambda derived: RandomSampler(seed=derived),
    }
    return DerivedSampler(makers[name], seed)
