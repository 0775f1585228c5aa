"""FlatSpace: every parameter that could be active, side by side, and samplers that see them all.

Optuna's own joint samplers take what all finished trials have in common, so that on a space with
families they draw each family's own parameters alone and at random, without a word.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FixedTrial

from searchlab.config.nodes import Choice, Range
from searchlab.config.space import SpaceSpec
from searchlab.config.trial import Scalar
from searchlab.records.optuna_internals import known_params
from searchlab.search.samplers.unit_cube import from_unit, to_unit
from searchlab.search.space.points import Point, walk

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["FlatSpace", "WholeSpaceSampler"]


@dataclass(frozen=True, slots=True)
class FlatSpace:
    """All families' parameters, all layers up to the greatest depth, by their Optuna names.

    A *flat point* has a value for each of ``nodes``; its *active* part is the point of the space
    that its own family and depth unfold. Parameters of one value only are not searched and are
    left out.
    """

    space: SpaceSpec
    nodes: dict[str, Choice | Range]

    @classmethod
    def of(cls, space: SpaceSpec) -> FlatSpace:
        """List the parameters of a space, in the order in which they unfold."""
        nodes: dict[str, Choice | Range] = {}
        for family in space.families:

            def choose(name: str, node: Choice | Range, family: str = family) -> Scalar:
                if node.count() != 1:
                    nodes[name] = node
                if name == "family":
                    return family
                if name == f"{family}.depth":
                    return max(node.ends(), key=float)
                return node.middle()

            walk(space, choose)
        return cls(space, nodes)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the same parameters as Optuna knows them."""
        trial = FixedTrial({name: node.middle() for name, node in self.nodes.items()})
        for name, node in self.nodes.items():
            node.suggest(trial, name)
        return trial.distributions

    def active(self, flat: Mapping[str, Scalar]) -> Point:
        """Return the searched part of the point that a flat point unfolds into."""
        point: Point = {}

        def choose(name: str, node: Choice | Range) -> Scalar:
            if name not in self.nodes:
                return node.middle()
            point[name] = flat[name]
            return flat[name]

        walk(self.space, choose)
        return point

    def is_settled(self, known: Mapping[str, Scalar]) -> bool:
        """Return whether a point is known in full, so that there is nothing to sample."""
        try:
            self.active(known)
        except KeyError:
            return False
        return True

    def impute(self, point: Mapping[str, Scalar]) -> Point:
        """Fill in what a point lacks with fixed values: a range's middle, a list's first value."""
        return {name: point.get(name, node.middle()) for name, node in self.nodes.items()}

    def draw(self, rng: random.Random) -> Point:
        """Draw a flat point at random."""
        return {name: from_unit(node, rng.random()) for name, node in self.nodes.items()}

    def encode(self, flat: Mapping[str, Scalar]) -> list[float]:
        """Return a flat point's place in the unit cube."""
        return [to_unit(node, flat[name]) for name, node in self.nodes.items()]

    def decode(self, places: list[float]) -> Point:
        """Return the flat point at a place in the unit cube."""
        pairs = zip(self.nodes.items(), places, strict=True)
        return {name: from_unit(node, place) for (name, node), place in pairs}


class WholeSpaceSampler(BaseSampler):
    """Base of the samplers that propose a flat point for every trial; Optuna takes what is active.

    ``propose`` may depend on the seed, the trial's number and the study's trials, never on what
    this object did before: it is made again for every trial, with a ``seed`` of the trial's own
    (docs/design.md, decision 7).
    """

    def __init__(self, flat: FlatSpace, seed: int, *, study_seed: int) -> None:
        self.flat = flat
        self.seed = seed
        self.study_seed = study_seed

    @abstractmethod
    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        """Return a flat point for a trial of a study that has the search's trials only."""
        raise NotImplementedError

    @classmethod
    def count_random_draws(cls, num_parameters: int) -> int:
        """Return how many search trials are drawn before there is anything to learn from."""
        return 0

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See optuna: all parameters, or none if the trial's point is given."""
        settled = self.flat.is_settled(known_params(trial))
        return {} if settled else self.flat.distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See optuna: sample them."""
        return dict(self.propose(study, trial)) if search_space else {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See optuna: only for what is not a parameter of the space."""
        sampler = RandomSampler(seed=self.seed)
        return sampler.sample_independent(study, trial, param_name, param_distribution)
