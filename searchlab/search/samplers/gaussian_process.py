"""Bayesian optimisation by a Gaussian process over the whole space."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.trial import TrialState, create_trial

from searchlab.records.optuna_internals import AdaptedGPSampler, frozen_of
from searchlab.search.samplers.evolution import mutate
from searchlab.search.samplers.flat_space import FlatSpace, WholeSpaceSampler
from searchlab.search.samplers.inner_study import make_inner_study
from searchlab.search.samplers.observations import (
    Observation,
    known_points,
    observe,
    running_points,
)
from searchlab.search.space.points import Point

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["GP_STARTUP_TRIALS", "GaussianProcessSampler"]

GP_STARTUP_TRIALS = 10
_NUM_DRAWN = 100  # candidates from the whole space
_NUM_PARENTS, _NUM_CHILDREN, _NUM_ROUNDS = 5, 10, 4  # and near the best of them


class GaussianProcessSampler(WholeSpaceSampler):
    """Optuna's GP sampler, told flat points whose inactive parameters have fixed values.

    Until ``GP_STARTUP_TRIALS`` trials are finished, points are drawn at random. The best point is
    looked for among points of the space: drawn ones, and mutations of the best. Optuna would look
    in the unit cube, by gradients: it takes five times as long, finds no better points
    (benchmarks/README.md), and asks again and again for one configuration with other values of its
    inactive parameters.
    """

    @classmethod
    def count_random_draws(cls, num_parameters: int) -> int:
        """Return the trials of the start-up."""
        return GP_STARTUP_TRIALS

    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        """Return the point of the greatest expected improvement."""
        observations = observe(study)
        drawn = self.flat.draw(random.Random(self.seed))
        if len(observations) < GP_STARTUP_TRIALS:
            return drawn
        space = self.flat.distributions()
        learnt = [
            create_trial(values=losses, params=self.flat.impute(item.point), distributions=space)
            for item, losses in zip(observations, _warp(observations), strict=True)
        ]
        running = [
            create_trial(
                state=TrialState.RUNNING, params=self.flat.impute(point), distributions=space
            )
            for point in running_points(study, trial)
        ]
        inner = make_inner_study([*learnt, *running], num_objectives=len(study.directions))
        best = sorted(observations, key=lambda item: item.losses)[:_NUM_PARENTS]
        search = _AcquisitionSearch(
            self.flat,
            random.Random(self.seed),
            known=known_points(study, trial, self.flat.nodes.keys()),
            parents=[item.point for item in best],
        )
        sampler = AdaptedGPSampler(search, seed=self.seed)
        return {**drawn, **sampler.sample_relative(inner, frozen_of(inner.ask()), space)}


def _warp(observations: list[Observation]) -> list[tuple[float, ...]]:
    """Return losses on a scale that tells good ones apart, if there is one objective.

    Most of a search's spread lies between bad trials: 20 % and 60 % of accuracy. In the logarithm
    of the distance to the best, 97 % and 98 % differ as much (benchmarks/README.md).
    """
    losses = [item.losses for item in observations]
    if len(losses[0]) > 1:
        return losses
    known = np.array(losses)[:, 0]
    distances = known - known.min()
    unit = float(np.median(distances)) / 10 or 1.0
    return [(float(value),) for value in np.log(distances / unit + 1.0)]


class _AcquisitionSearch:
    """Looks for the point of the space for which an acquisition function is greatest.

    Points of the study are left out: the model takes figures for noisy, so that on a space of
    choices it would measure its best point again, and here the same point gives the same figure.
    """

    def __init__(
        self, flat: FlatSpace, rng: random.Random, *, known: list[Point], parents: list[Point]
    ) -> None:
        self._flat = flat
        self._rng = rng
        self._seen = {_key(point) for point in known}
        self._parents = parents
        self._found: list[tuple[float, Point]] = []  # the best first

    def __call__(self, acqf: Any) -> np.ndarray:
        """Return the best point, as Optuna's ``search_space`` normalises it."""
        drawn = [self._flat.active(self._flat.draw(self._rng)) for _ in range(_NUM_DRAWN)]
        self._evaluate(acqf, [*drawn, *self._breed(self._parents)])
        for _ in range(_NUM_ROUNDS):
            self._evaluate(acqf, self._breed([point for _, point in self._found]))
        # If every point is known, one of them it has to be.
        point = self._found[0][1] if self._found else drawn[0]
        row: np.ndarray = self._normalize(acqf, [point])[0]
        return row

    def _breed(self, parents: list[Point]) -> list[Point]:
        return [
            mutate(self._flat.space, parent, self._rng)
            for parent in parents
            for _ in range(_NUM_CHILDREN)
        ]

    def _evaluate(self, acqf: Any, points: list[Point]) -> None:
        new = []
        for point in points:
            if _key(point) not in self._seen:
                self._seen.add(_key(point))
                new.append(point)
        if new:
            values = acqf.eval_acqf_no_grad(self._normalize(acqf, new)).tolist()
            self._found += zip(values, new, strict=True)
            self._found = sorted(self._found, key=lambda pair: -pair[0])[:_NUM_PARENTS]

    def _normalize(self, acqf: Any, points: list[Point]) -> np.ndarray:
        flats = [self._flat.impute(point) for point in points]
        rows: np.ndarray = acqf.search_space.get_normalized_params([None] * len(flats), flats)
        return rows


def _key(point: Point) -> frozenset[tuple[str, Any]]:
    return frozenset(point.items())
