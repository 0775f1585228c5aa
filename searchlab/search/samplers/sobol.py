"""QMC: a scrambled Sobol sequence over the whole space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.config.seeds import derive_seed
from searchlab.records.trial_record import PLAN, RETRY_OF
from searchlab.search.samplers.flat_space import WholeSpaceSampler
from searchlab.search.space.points import Point

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["SobolSampler"]


class SobolSampler(WholeSpaceSampler):
    """Gives the n-th trial of the search the n-th point of a scrambled sequence (Owen 1998).

    The study's seed scrambles it. The values of trials change nothing. Reference points are none of
    the sequence.
    """

    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        """Return the next point: each earlier trial, if it was drawn, has taken one."""
        from scipy.stats.qmc import Sobol  # takes a second to import

        num_before = sum(
            other.number < trial.number and not {RETRY_OF, PLAN} & other.user_attrs.keys()
            for other in study.get_trials(deepcopy=False)
        )
        seed = derive_seed(self.study_seed, "sobol")
        sequence = Sobol(len(self.flat.nodes), scramble=True, rng=seed)
        if num_before:
            sequence.fast_forward(num_before)
        return self.flat.decode(sequence.random(1)[0].tolist())
