"""Regularised evolution (Real et al. 2019, arXiv:1802.01548)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from searchlab.config.nodes import Choice, Range
from searchlab.config.space import SpaceSpec
from searchlab.config.trial import Scalar
from searchlab.search.samplers.flat_space import FlatSpace, WholeSpaceSampler
from searchlab.search.samplers.observations import Observation, known_points, observe
from searchlab.search.samplers.unit_cube import from_unit, mirror, to_unit
from searchlab.search.space.points import Point, walk

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["POPULATION_SIZE", "EvolutionSampler", "mutate"]

POPULATION_SIZE = 20
TOURNAMENT_SIZE = 5  # a quarter of the population, as in the paper
_STEP = 0.15  # deviation of a range's mutation, as a part of the whole range
_MAX_TRIES = 20


class EvolutionSampler(WholeSpaceSampler):
    """Mutates one parameter of the best of a few, drawn from the youngest search trials.

    The population is the last ``population_size`` finished trials, by number. Before there
    are that many, points are drawn at random.
    """

    def __init__(
        self,
        flat: FlatSpace,
        seed: int,
        *,
        study_seed: int,
        population_size: int = POPULATION_SIZE,
        tournament_size: int = TOURNAMENT_SIZE,
    ) -> None:
        super().__init__(flat, seed, study_seed=study_seed)
        self.population_size = population_size
        self.tournament_size = tournament_size

    @classmethod
    def count_random_draws(cls, num_parameters: int) -> int:
        """Return the size of the first population."""
        return POPULATION_SIZE

    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        """Return a child that is not yet a point of the study, if a few tries find one."""
        rng = random.Random(self.seed)
        observations = observe(study)
        known = known_points(study, trial, self.flat.nodes.keys())
        # Optuna takes the active part; the rest is for a trial cut off with another family.
        silent = self.flat.draw(rng)
        child = self._breed(observations, rng)
        for _ in range(_MAX_TRIES):
            if child not in known:
                break
            child = self._breed(observations, rng)
        return {**silent, **child}

    def _breed(self, observations: list[Observation], rng: random.Random) -> Point:
        if len(observations) < self.population_size:
            return self.flat.active(self.flat.draw(rng))
        population = observations[-self.population_size :]
        entrants = rng.sample(population, min(self.tournament_size, len(population)))
        parent = min(entrants, key=lambda item: item.losses[0])
        return mutate(self.flat.space, parent.point, rng)


def mutate(space: SpaceSpec, parent: Point, rng: random.Random) -> Point:
    """Return the parent's searched parameters with another value of one of them.

    A choice takes any other of its values; a range moves by a normal step in its unit interval,
    reflected at the ends and widened until the value differs. Another family, or a greater depth,
    brings parameters that the parent does not have: they are drawn at random. So is one that a
    parent from elsewhere lacks, such as a trial that somebody else's code has added.
    """
    active: dict[str, Choice | Range] = {}

    def note(name: str, node: Choice | Range) -> Scalar:
        if node.count() != 1:
            active[name] = node
        return parent[name] if name in parent else node.ends()[0]

    walk(space, note)
    mutated = rng.choice(list(active))
    child: Point = {}

    def choose(name: str, node: Choice | Range) -> Scalar:
        if name == mutated and name in parent:
            value = _another(node, parent[name], rng)
        elif name in parent and node.contains(parent[name]):
            value = parent[name]
        else:
            value = from_unit(node, rng.random())
        if node.count() != 1:
            child[name] = value
        return value

    walk(space, choose)
    return child


def _another(node: Choice | Range, value: Scalar, rng: random.Random) -> Scalar:
    if isinstance(node, Choice):
        return rng.choice([item for item in node.root if item != value])
    place = to_unit(node, value)
    step = _STEP
    while (moved := from_unit(node, mirror(rng.gauss(place, step)))) == value:
        step *= 1.5
    return moved
