"""The samplers, by name. ``config/samplers.py`` says what each of them can search."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from searchlab.config.samplers import SAMPLERS
from searchlab.config.space import SpaceSpec
from searchlab.search.samplers.evolution import EvolutionSampler
from searchlab.search.samplers.flat_space import FlatSpace, WholeSpaceSampler
from searchlab.search.samplers.gaussian_process import GaussianProcessSampler
from searchlab.search.samplers.nsga2 import Nsga2Sampler
from searchlab.search.samplers.replayed_cmaes import ReplayedCmaEsSampler
from searchlab.search.samplers.sobol import SobolSampler
from searchlab.search.samplers.study_sampler import StudySampler

if TYPE_CHECKING:
    from optuna.study import Study

    from searchlab.config.study import StudySpec
    from searchlab.search.space.study_space import StudySpace

__all__ = ["WHOLE_SPACE_SAMPLERS", "count_random_draws", "make_sampler", "settle_sampler"]

WHOLE_SPACE_SAMPLERS: dict[str, type[WholeSpaceSampler]] = {
    "gp": GaussianProcessSampler,
    "cmaes": ReplayedCmaEsSampler,
    "nsga2": Nsga2Sampler,
    "qmc": SobolSampler,
    "evolution": EvolutionSampler,
}

_TPE_STARTUP_TRIALS = 10


def settle_sampler(name: str) -> str:
    """Return what ``auto`` stands for, and any other sampler's name as it is.

    TPE found most in the fewest epochs, on both datasets of benchmarks/search.py.
    """
    return "tpe" if name == "auto" else name


def make_sampler(spec: StudySpec, space: StudySpace) -> StudySampler:
    """Return a study's sampler; the planned ones (grid, one_at_a_time) only see given points."""
    name, seed = settle_sampler(spec.search.sampler), spec.search.seed
    make: Callable[[int], BaseSampler] = _make_random
    is_needless: Callable[[Study, str], bool] | None = None
    if name == "tpe":
        make, is_needless = _make_tpe, _was_seen
    elif SAMPLERS[name].whole_space:
        assert isinstance(spec.space, SpaceSpec), name  # the configuration sees to it
        flat, sampler = FlatSpace.of(spec.space), WHOLE_SPACE_SAMPLERS[name]
        make = lambda derived: sampler(flat, derived, study_seed=seed)  # noqa: E731
        is_needless = lambda study, parameter: True  # noqa: E731
    return StudySampler(make, seed, narrowed=space.narrowed, name=name, is_needless=is_needless)


def _make_random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _make_tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ExperimentalWarning)
        # Without group, conditional parameters are sampled independently, in silence.
        return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def _was_seen(study: Study, parameter: str) -> bool:
    """Return whether TPE, past its start-up, has seen trials with this parameter."""
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    finished = study.get_trials(deepcopy=False, states=states)
    started = len(finished) >= _TPE_STARTUP_TRIALS
    return started and any(parameter in trial.params for trial in finished)


def count_random_draws(spec: StudySpec) -> int:
    """Return how many search trials begin before the sampler has anything to learn from."""
    name = settle_sampler(spec.search.sampler)
    if name == "tpe":
        return _TPE_STARTUP_TRIALS
    if not SAMPLERS[name].whole_space:
        return 0
    assert isinstance(spec.space, SpaceSpec), name
    return WHOLE_SPACE_SAMPLERS[name].count_random_draws(len(FlatSpace.of(spec.space).nodes))
