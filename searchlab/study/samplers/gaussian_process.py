"""Bayesian optimisation by a Gaussian process over the whole space."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.samplers import GPSampler

from searchlab.study.samplers.flat_space import FlatSpace, WholeSpaceSampler
from searchlab.study.samplers.inner_study import InnerStudy
from searchlab.study.samplers.observations import known_points, observe, running_points
from searchlab.study.space.points import Point

if TYPE_CHECKING:
    import torch
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["GP_STARTUP_TRIALS", "GaussianProcessSampler"]

GP_STARTUP_TRIALS = 10
_PENALTY = -1e9  # finite, for where no other point is left


class GaussianProcessSampler(WholeSpaceSampler):
    """Optuna's GP sampler, told flat points whose inactive parameters have fixed values.

    Until ``num_startup`` search trials are finished, points are drawn at random: baselines are
    told as well, but they are a few corners of the space. It looks for the best point among those
    with the same fixed values, as SMAC does; else it would ask again and again for one
    configuration with other values of what is inactive in it.
    """

    def __init__(self, flat: FlatSpace, seed: int, *, num_startup: int = GP_STARTUP_TRIALS) -> None:
        super().__init__(flat, seed)
        self.num_startup = num_startup

    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        """Return the point of the greatest expected improvement."""
        observations = observe(study)
        drawn = self.flat.draw(random.Random(self.seed))
        if sum(item.role == "search" for item in observations) < self.num_startup:
            return drawn
        inner = InnerStudy(
            _ActiveOnlyGPSampler(
                self.flat, self.seed, known=known_points(study, trial, self.flat.nodes.keys())
            ),
            self.flat.distributions(),
            num_objectives=len(study.directions),
        )
        for item in observations:
            inner.add_finished(self.flat.impute(item.point), item.losses)
        inner.add_running(self.flat.impute(point) for point in running_points(study, trial))
        return {**drawn, **inner.sample()}


class _ActiveOnlyGPSampler(GPSampler):
    """Looks for its next point by ``_ActiveOnly``."""

    def __init__(self, flat: FlatSpace, seed: int, *, known: list[Point]) -> None:
        super().__init__(seed=seed, n_startup_trials=0)
        self._flat = flat
        self._points = known

    def _optimize_acqf(self, acqf: Any, best_params: Any) -> Any:
        active_only: Any = _ActiveOnly(acqf, self._flat, self._points)
        return super()._optimize_acqf(active_only, best_params)


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
