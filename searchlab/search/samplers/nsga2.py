"""NSGA-II (Deb et al. 2002) over the whole space, its generations counted again for every trial."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from optuna.samplers import NSGAIISampler
from optuna.trial import create_trial

from searchlab.config.seeds import derive_seed
from searchlab.records.optuna_internals import frozen_of, generation_key
from searchlab.search.samplers.flat_space import WholeSpaceSampler
from searchlab.search.samplers.inner_study import make_inner_study
from searchlab.search.samplers.observations import Observation, known_points, observe
from searchlab.search.space.points import Point

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["Nsga2Sampler"]

_POPULATION_SIZE = 20  # Optuna's 50 would leave most studies a random search
_MAX_TRIES = 20


class Nsga2Sampler(WholeSpaceSampler):
    """Optuna's NSGA-II, told flat points.

    The finished trials, by number, make up generations of 20, of which the first is drawn
    at random. Genes that are silent in a trial, such as those of another family, are drawn by the
    trial's number: if all had one value, crossover would spread it.
    """

    @classmethod
    def count_random_draws(cls, num_parameters: int) -> int:
        """Return the size of the first generation."""
        return _POPULATION_SIZE

    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        """Return a child of two parents, or a random point in the first generation.

        It is not yet a point of the study if a few tries find such: most mutations are silent.
        """
        sampler = NSGAIISampler(population_size=_POPULATION_SIZE, seed=self.seed)
        genes = self.flat.distributions()
        inner = make_inner_study(
            (
                create_trial(
                    values=item.losses,
                    params=self._express(item),
                    distributions=genes,
                    system_attrs={generation_key(sampler): index // _POPULATION_SIZE},
                )
                for index, item in enumerate(observe(study))
            ),
            num_objectives=len(study.directions),
        )
        asked = frozen_of(inner.ask())
        rng = random.Random(self.seed)
        known = known_points(study, trial, self.flat.nodes.keys())
        for _ in range(_MAX_TRIES):
            # What NSGA-II mutates, it leaves to be drawn at random; in the first generation, all.
            child: Point = {**self.flat.draw(rng), **sampler.sample_relative(inner, asked, genes)}
            if self.flat.active(child) not in known:
                break
        return child

    def _express(self, item: Observation) -> Point:
        rng = random.Random(derive_seed(self.study_seed, "genes", item.number))
        genes = {**self.flat.draw(rng), **item.point}
        return {name: genes[name] for name in self.flat.nodes}
