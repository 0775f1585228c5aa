"""QMC: a scrambled Sobol sequence over the whole space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.study.samplers.flat_space import WholeSpaceSampler
from searchlab.study.space.points import Point

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["SobolSampler"]


class SobolSampler(WholeSpaceSampler):
    """Gives trial n the n-th point of a sequence that the study's seed scrambles (Owen 1998).

    Takes the study's own seed, not a trial's. The values of trials change nothing.
    """

    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        """Return the point of this trial's number."""
        from scipy.stats.qmc import Sobol  # takes a second to import

        sequence = Sobol(len(self.flat.nodes), scramble=True, rng=self.seed)
        if trial.number:
            sequence.fast_forward(trial.number)
        return self.flat.decode(sequence.random(1)[0].tolist())
