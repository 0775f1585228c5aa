"""Bayesian optimisation by a Gaussian process over the whole space."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.trial import TrialState, create_trial

from searchlab.study.optuna_internals import AdaptedGPSampler, frozen_of
from searchlab.study.samplers.flat_space import FlatSpace, WholeSpaceSampler
from searchlab.study.samplers.inner_study import make_inner_study
from searchlab.study.samplers.observations import known_points, observe, running_points
from searchlab.study.space.points import Point

if TYPE_CHECKING:
    import torch
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["GP_STARTUP_TRIALS", "GaussianProcessSampler"]

GP_STARTUP_TRIALS = 10
_PENALTY = -1e9  # finite, in case no other point is left


class GaussianProcessSampler(WholeSpaceSampler):
    """Optuna's GP sampler, told flat points whose inactive parameters have fixed values.

    Until ``GP_STARTUP_TRIALS`` trials are finished, points are drawn at random. It looks for the
    best point among those with the same fixed values, as SMAC does. Otherwise it would ask again
    and again for one configuration with other values of its inactive parameters.
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
        known = known_points(study, trial, self.flat.nodes.keys())
        space = self.flat.distributions()
        learnt = [
            create_trial(
                values=item.losses, params=self.flat.impute(item.point), distributions=space
            )
            for item in observations
        ]
        running = [
            create_trial(
                state=TrialState.RUNNING, params=self.flat.impute(point), distributions=space
            )
            for point in running_points(study, trial)
        ]
        inner = make_inner_study([*learnt, *running], num_objectives=len(study.directions))
        sampler = AdaptedGPSampler(lambda acqf: _ActiveOnly(acqf, self.flat, known), seed=self.seed)
        return {**drawn, **sampler.sample_relative(inner, frozen_of(inner.ask()), space)}


class _ActiveOnly:
    """Optuna's acquisition function, of active parameters only, and shunning known points.

    Each candidate is evaluated with its inactive parameters at their fixed values. The model takes
    figures for noisy, so that on a space of choices it would measure its best point again; here
    the same point gives the same figure.
    """

    def __init__(self, acqf: Any, flat: FlatSpace, points: list[Point]) -> None:
        import torch

        self._acqf = acqf
        self.search_space = acqf.search_space
        self.length_scales = acqf.length_scales
        self._flat = flat
        self._names = list(flat.nodes)
        self._fixed = torch.from_numpy(self._normalize([flat.impute({})])[0])
        self._shunned = {
            _key(row) for row in self._normalize([flat.impute(point) for point in points])
        }
        # Which parameters are active depends on these alone.
        self._gates = [
            index
            for index, name in enumerate(self._names)
            if name == "family" or name.endswith(".depth")
        ]
        self._known: dict[bytes, np.ndarray] = {}

    def eval_acqf(self, x: torch.Tensor) -> torch.Tensor:
        """Evaluate candidates of shape (..., parameters)."""
        import torch

        settled = torch.where(torch.from_numpy(self._active(x.detach().numpy())), x, self._fixed)
        value: torch.Tensor = self._acqf.eval_acqf(settled)
        return value + torch.from_numpy(self._penalties(settled.detach().numpy()))

    def eval_acqf_no_grad(self, x: np.ndarray) -> np.ndarray:
        """Evaluate them without their gradients."""
        settled = np.where(self._active(x), x, self._fixed.numpy())
        value: np.ndarray = self._acqf.eval_acqf_no_grad(settled) + self._penalties(settled)
        return value

    def _normalize(self, flats: list[Point]) -> np.ndarray:
        rows: np.ndarray = self.search_space.get_normalized_params([None] * len(flats), flats)
        return rows

    def _penalties(self, settled: np.ndarray) -> np.ndarray:
        rows = settled.reshape(-1, settled.shape[-1])
        penalties = [_PENALTY if _key(row) in self._shunned else 0.0 for row in rows]
        return np.array(penalties).reshape(settled.shape[:-1])

    def _active(self, x: np.ndarray) -> np.ndarray:
        """Return which parameters of each candidate are active, in the same shape."""
        rows = x.reshape(-1, x.shape[-1])
        return np.stack([self._active_in(row) for row in rows]).reshape(x.shape)

    def _active_in(self, row: np.ndarray) -> np.ndarray:
        key = row[self._gates].tobytes()
        if key not in self._known:
            point = self._flat.active(self.search_space.get_unnormalized_param(row))
            self._known[key] = np.array([name in point for name in self._names])
        return self._known[key]


def _key(row: np.ndarray) -> bytes:
    return (np.round(row, 9) + 0.0).tobytes()  # -0.0 is 0.0
