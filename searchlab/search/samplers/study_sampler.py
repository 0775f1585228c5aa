"""StudySampler: what Optuna asks on behalf of a study."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler

from searchlab.config.seeds import derive_seed
from searchlab.records.optuna_internals import storage_of, trial_id_of
from searchlab.records.recorded_values import as_written
from searchlab.records.trial_record import INDEPENDENTLY_SAMPLED
from searchlab.search.samplers.searched_trials import SearchedTrials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from searchlab.search.space.study_space import NarrowedChoice

__all__ = ["StudySampler"]

logger = logging.getLogger(__name__)

# Whether a parameter that is to be sampled alone could have been sampled with the others.
IsNeedless = Callable[["Study", str], bool]


class StudySampler(BaseSampler):
    """Gives each trial a fresh sampler, which sees the search alone.

    A sampler with one stream of random numbers would give trial 12 other parameters after a
    restart than without one. So the sampler's seed derives from the trial's number, and the
    parameters depend on the seed, the number and the search's trials only. A parameter that is
    sampled alone has a seed of its own, so that a trial cut off between two of its parameters is
    completed as it would have been.

    If ``is_needless`` says that a parameter should not have been sampled alone, it is noted in
    ``needlessly_alone`` with the numbers of its trials, and in the trial's system attribute
    ``INDEPENDENTLY_SAMPLED``, and the user is told once.
    """

    def __init__(
        self,
        make: Callable[[int], BaseSampler],
        seed: int,
        *,
        narrowed: Mapping[str, NarrowedChoice],
        name: str = "",
        is_needless: IsNeedless | None = None,
    ) -> None:
        self._make = make
        self._seed = seed
        self._trials = SearchedTrials(narrowed)
        self._name = name
        self._is_needless = is_needless
        self._joint: tuple[tuple[str, int], Study, BaseSampler] | None = None
        self.needlessly_alone: dict[str, list[int]] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See optuna: the parameters that are sampled together."""
        searched, joint = self._trials.of(study), self._derive(trial.number)
        self._joint = ((study.study_name, trial.number), searched, joint)
        return self._trials.to_recorded(joint.infer_relative_search_space(searched, trial))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See optuna: sample them. Called right after ``infer_relative_search_space``."""
        searched, joint = self._begun(study, trial)
        drawn = joint.sample_relative(searched, trial, self._trials.to_searched(search_space))
        return {name: as_written(value, search_space[name]) for name, value in drawn.items()}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See optuna: sample one parameter alone."""
        node = self._trials.to_searched({param_name: param_distribution})[param_name]
        if isinstance(node, CategoricalDistribution) and node.single():
            return node.choices[0]
        searched, _ = self._begun(study, trial)
        if self._is_needless is not None and self._is_needless(searched, param_name):
            self._note_alone(study, trial, param_name)
        sampler = self._derive(trial.number, param_name)
        return as_written(sampler.sample_independent(searched, trial, param_name, node), node)

    def _begun(self, study: Study, trial: FrozenTrial) -> tuple[Study, BaseSampler]:
        """Return the study as it was when the trial was asked for, and the trial's sampler.

        Reading the trials for each parameter would take longer than sampling it.
        """
        if self._joint is None or self._joint[0] != (study.study_name, trial.number):
            self.infer_relative_search_space(study, trial)
        assert self._joint is not None
        _, searched, joint = self._joint
        return searched, joint

    def _note_alone(self, study: Study, trial: FrozenTrial, param_name: str) -> None:
        if param_name not in self.needlessly_alone:
            logger.warning(
                "Sampler %s drew %s of trial %d at random: it could not see the parameter "
                "beside the others",
                self._name,
                param_name,
                trial.number,
            )
        self.needlessly_alone.setdefault(param_name, []).append(trial.number)
        noted = [*trial.system_attrs.get(INDEPENDENTLY_SAMPLED, ()), param_name]
        storage_of(study).set_trial_system_attr(
            trial_id_of(trial), INDEPENDENTLY_SAMPLED, list(dict.fromkeys(noted))
        )

    def _derive(self, *key: int | str) -> BaseSampler:
        return self._make(derive_seed(self._seed, "sampler", *key) % 2**32)  # numpy takes 32 bits
