"""CMA-ES (Hansen 2016, arXiv:1604.00772), its state replayed from the finished trials.

Optuna's own sampler keeps a pickle of its state in the storage, and searches neither choices nor
parameters that only some trials have.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from searchlab.config.seeds import derive_seed
from searchlab.records.optuna_internals import storage_of, trial_id_of
from searchlab.search.samplers.flat_space import WholeSpaceSampler
from searchlab.search.samplers.observations import Observation, observe
from searchlab.search.samplers.unit_cube import mirror
from searchlab.search.space.points import Point

if TYPE_CHECKING:
    from cmaes import CMA
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["ReplayedCmaEsSampler"]

_PLACE = "searchlab:cmaes"  # a trial's system attribute: where CMA-ES drew it, inactive ones too
_MIN_DIMENSIONS = 2  # of the cmaes package: one parameter gets a companion that says nothing
_SIGMA = 0.3  # of a unit cube: the first generation reaches the whole of it


class ReplayedCmaEsSampler(WholeSpaceSampler):
    """Draws from the distribution that the finished trials, by number, have led to.

    They are told in generations of 4 + 3 ln(parameters); those of a generation not yet full wait.
    A search that has converged starts again around a random place. Places outside the cube are
    mirrored into it. A choice is an interval cut in equal bins, so neighbours in the list are
    taken for akin.
    """

    @classmethod
    def count_random_draws(cls, num_parameters: int) -> int:
        """Return the first generation (Hansen 2016, equation 48), all drawn from one Gaussian."""
        return 4 + math.floor(3 * math.log(max(num_parameters, _MIN_DIMENSIONS)))

    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        """Return the point at a place that is noted with the trial."""
        place = self._read(trial.system_attrs.get(_PLACE))
        if place is None:
            optimizer = self._replay(observe(study))
            optimizer.reseed_rng(self.seed)
            place = [float(value) for value in optimizer.ask()]
            storage_of(study).set_trial_system_attr(trial_id_of(trial), _PLACE, place)
        return self.flat.decode([mirror(value) for value in place[: len(self.flat.nodes)]])

    def _replay(self, told: list[Observation]) -> CMA:
        import numpy as np

        optimizer = self._begin(0)
        size = optimizer.population_size
        for start in range(0, len(told) - size + 1, size):
            generation = told[start : start + size]
            optimizer.tell([(np.array(self._place(item)), item.losses[0]) for item in generation])
            if optimizer.should_stop():
                optimizer = self._begin(start + size)
        return optimizer

    def _begin(self, num_told: int) -> CMA:
        import numpy as np
        from cmaes import CMA

        mean = [0.5] * self._num_dimensions
        if num_told:
            rng = random.Random(derive_seed(self.study_seed, "cmaes", num_told))
            mean = [rng.random() for _ in mean]
        return CMA(mean=np.array(mean), sigma=_SIGMA, seed=0)  # reseeded before it draws

    @property
    def _num_dimensions(self) -> int:
        return max(len(self.flat.nodes), _MIN_DIMENSIONS)

    def _place(self, item: Observation) -> list[float]:
        place = self._read(item.system_attrs.get(_PLACE))
        if place is not None:
            return place
        encoded = self.flat.encode(self.flat.impute(item.point))
        return encoded + [0.5] * (self._num_dimensions - len(encoded))

    def _read(self, noted: object) -> list[float] | None:
        """Return a place as noted, or None if it is not a place in this space."""
        if not isinstance(noted, list) or len(noted) != self._num_dimensions:
            return None
        finite = all(isinstance(value, float) and math.isfinite(value) for value in noted)
        return noted if finite else None
