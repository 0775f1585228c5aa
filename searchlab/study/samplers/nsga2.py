"""NSGA-II (Deb et al. 2002) over the whole space, its generations counted anew for every trial."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from optuna.samplers import NSGAIISampler

from searchlab.config.seeds import derive_seed
from searchlab.study.samplers.flat_space import FlatSpace, WholeSpaceSampler
from searchlab.study.samplers.inner_study import InnerStudy
from searchlab.study.samplers.observations import known_points, observe
from searchlab.study.space.points import Point

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["NSGA2_POPULATION_SIZE", "Nsga2Sampler"]

NSGA2_POPULATION_SIZE = 20  # Optuna's 50 would leave most studies a random search
_MAX_TRIES = 20


class Nsga2Sampler(WholeSpaceSampler):
    """Optuna's NSGA-II, told flat points.

    The finished trials, by number and baselines included, make up generations of
    ``population_size``; the first is drawn at random. Genes that are silent in a trial, such as
    those of another family, are drawn by the trial's number: were they all given one value,
    crossover would spread that value.
    """

    def __init__(
        self,
        flat: FlatSpace,
        seed: int,
        *,
        study_seed: int,
        population_size: int = NSGA2_POPULATION_SIZE,
    ) -> None:
        super().__init__(flat, seed)
        self.study_seed = study_seed
        self.population_size = population_size

    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        """Return a child of two parents, or a random point in the first generation.

        Where a few tries find one, it is no point of the study yet: most mutations are silent.
        """
        sampler = NSGAIISampler(population_size=self.population_size, seed=self.seed)
        inner = InnerStudy(sampler, self.flat.distributions(), num_objectives=len(study.directions))
        generation_key = sampler._get_generation_key()
        for index, item in enumerate(observe(study)):
            genes = {**self._silent_genes(item.number), **item.point}
            inner.add_finished(
                {name: genes[name] for name in self.flat.nodes},
                item.losses,
                {generation_key: index // self.population_size},
            )
        rng = random.Random(self.seed)
        known = known_points(study, trial, self.flat.nodes.keys())
        for _ in range(_MAX_TRIES):
            # What NSGA-II mutates, it leaves to be drawn at random; in the first generation, all.
            child: Point = {**self.flat.draw(rng), **inner.sample()}
            if self.flat.active(child) not in known:
                break
        return child

    def _silent_genes(self, number: int) -> Point:
        return self.flat.draw(random.Random(derive_seed(self.study_seed, "genes", number)))
