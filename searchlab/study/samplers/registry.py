"""The samplers, by name, each seeded anew for every trial."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from searchlab.config.samplers import WHOLE_SPACE_SAMPLERS
from searchlab.config.seeds import derive_seed
from searchlab.study.samplers.evolution import POPULATION_SIZE, EvolutionSampler
from searchlab.study.samplers.flat_space import FlatSpace
from searchlab.study.samplers.gaussian_process import GP_STARTUP_TRIALS, GaussianProcessSampler
from searchlab.study.samplers.nsga2 import NSGA2_POPULATION_SIZE, Nsga2Sampler
from searchlab.study.samplers.replayed_cmaes import ReplayedCmaEsSampler
from searchlab.study.samplers.sobol import SobolSampler
from searchlab.study.space.study_space import SpecSpace
from searchlab.study.trial_record import INDEPENDENTLY_SAMPLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from searchlab.config.study import StudySpec
    from searchlab.study.space.study_space import StudySpace

__all__ = ["DerivedSampler", "count_random_draws", "make_sampler"]

logger = logging.getLogger(__name__)

_TPE_STARTUP_TRIALS = 10
_STARTUP = {
    "gp": GP_STARTUP_TRIALS,
    "nsga2": NSGA2_POPULATION_SIZE,
    "evolution": POPULATION_SIZE,
    "tpe": _TPE_STARTUP_TRIALS,
}
_STARTUP_COUNTS_BASELINES = ("nsga2", "tpe")

# Tells whether a parameter that is to be sampled alone could have been sampled with the others.
Expects = Callable[["Study", str], bool]


class DerivedSampler(BaseSampler):
    """Gives each trial a fresh sampler whose seed derives from the trial's number (DESIGN 7).

    A sampler with one stream of random numbers would give trial 12 other parameters after a
    restart than without one. Here they depend on the seed, the number and the finished trials
    only. A parameter that is sampled alone has a seed of its own, so that a trial cut off between
    two of its parameters is completed as it would have been.

    Where ``expects`` says that a parameter should not have been sampled alone, it is noted in
    ``needlessly_alone`` with the numbers of its trials, and in the trial's system attribute
    ``INDEPENDENTLY_SAMPLED``, and the user is told once.
    """

    def __init__(
        self,
        make: Callable[[int], BaseSampler],
        seed: int,
        *,
        name: str = "",
        expects: Expects | None = None,
    ) -> None:
        self._make = make
        self._seed = seed
        self._name = name
        self._expects = expects
        self._joint: BaseSampler | None = None
        self.needlessly_alone: dict[str, list[int]] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See optuna: the parameters that are sampled together."""
        self._joint = self._derive(trial.number)
        return self._joint.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See optuna: sample them. Called right after ``infer_relative_search_space``."""
        assert self._joint is not None
        return self._joint.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See optuna: sample one parameter alone."""
        if self._expects is not None and self._expects(study, param_name):
            self._note_alone(study, trial, param_name)
        sampler = self._derive(trial.number, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def _note_alone(self, study: Study, trial: FrozenTrial, param_name: str) -> None:
        if param_name not in self.needlessly_alone:
            logger.warning(
                "sampler %s drew %s of trial %d at random: it could not see the parameter "
                "beside the others",
                self._name,
                param_name,
                trial.number,
            )
        self.needlessly_alone.setdefault(param_name, []).append(trial.number)
        noted = [*trial.system_attrs.get(INDEPENDENTLY_SAMPLED, ()), param_name]
        study._storage.set_trial_system_attr(
            trial._trial_id, INDEPENDENTLY_SAMPLED, list(dict.fromkeys(noted))
        )

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """See optuna: some samplers note something at a trial's end."""
        self._derive(trial.number).after_trial(study, trial, state, values)

    def _derive(self, *key: int | str) -> BaseSampler:
        return self._make(derive_seed(self._seed, "sampler", *key) % 2**32)  # numpy takes 32 bits


# QuickTPESampler builds on the insides of this Optuna, and gives the suggestions of its TPE sooner.
_QUICK_TPE_KNOWS = "5.0."


def _make_tpe() -> Callable[[int], BaseSampler]:
    """Return a maker of one study's TPE samplers, one for each trial."""
    make: Callable[[int], BaseSampler] = _make_plain_tpe
    if optuna.__version__.startswith(_QUICK_TPE_KNOWS):
        from searchlab.study.samplers.quick_tpe import History, QuickTPESampler

        history = History()  # of one study, for the samplers of all its trials
        make = lambda seed: QuickTPESampler(history, seed=seed)  # noqa: E731

    def make_silently(seed: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=ExperimentalWarning)
            return make(seed)

    return make_silently


def _make_plain_tpe(seed: int) -> BaseSampler:
    # Without group, conditional parameters are sampled independently, in silence (DESIGN 4).
    return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def _was_seen(study: Study, param_name: str) -> bool:
    """Tell whether TPE, past its start-up, has seen trials with this parameter."""
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    finished = study.get_trials(deepcopy=False, states=states)
    started = len(finished) >= _TPE_STARTUP_TRIALS
    return started and any(param_name in trial.params for trial in finished)


def make_sampler(spec: StudySpec, space: StudySpace) -> BaseSampler:
    """Return a study's sampler; the planned ones (grid, one_at_a_time) only see given points.

    Warns where the whole search would be over before the sampler has anything to learn from.
    """
    name, seed = spec.search.sampler, spec.search.seed
    if name in WHOLE_SPACE_SAMPLERS:
        assert isinstance(space, SpecSpace), name  # the configuration sees to it
        flat = FlatSpace.of(space.effective)
        _warn_of_random_search(spec, num_parameters=len(flat.nodes))
        make = _make_whole_space(name, flat, seed)
        return DerivedSampler(make, seed, name=name, expects=lambda study, param: True)
    if name == "tpe":
        _warn_of_random_search(spec)
        return DerivedSampler(_make_tpe(), seed, name=name, expects=_was_seen)
    return DerivedSampler(lambda derived: RandomSampler(seed=derived), seed, name=name)


def _make_whole_space(name: str, flat: FlatSpace, seed: int) -> Callable[[int], BaseSampler]:
    makers: dict[str, Callable[[int], BaseSampler]] = {
        "gp": lambda derived: GaussianProcessSampler(flat, derived),
        "cmaes": lambda derived: ReplayedCmaEsSampler(flat, derived, study_seed=seed),
        "nsga2": lambda derived: Nsga2Sampler(flat, derived, study_seed=seed),
        "qmc": lambda derived: SobolSampler(flat, derive_seed(seed, "sobol")),
        "evolution": lambda derived: EvolutionSampler(flat, derived),
    }
    return makers[name]


def count_random_draws(spec: StudySpec, *, num_parameters: int = 0) -> int:
    """Return how many search trials are drawn before the sampler has anything to learn from.

    ``num_parameters`` is the number of searched parameters, which cmaes goes by.
    """
    name = spec.search.sampler
    num_drawn = _cmaes_population(num_parameters) if name == "cmaes" else _STARTUP.get(name, 0)
    if name in _STARTUP_COUNTS_BASELINES:
        num_drawn -= len(spec.baseline_rows)
    return max(num_drawn, 0)


def _warn_of_random_search(spec: StudySpec, *, num_parameters: int = 0) -> None:
    name, num_trials = spec.search.sampler, spec.search.trials
    num_drawn = count_random_draws(spec, num_parameters=num_parameters)
    if num_trials and num_trials <= num_drawn:
        logger.warning(
            "search.trials is %d, but sampler %s draws the first %d trials at random: "
            "this is a random search",
            num_trials,
            name,
            num_drawn,
        )


def _cmaes_population(num_parameters: int) -> int:
    """Return its default (Hansen 2016, equation 48), all drawn from one Gaussian at first."""
    return 4 + math.floor(3 * math.log(num_parameters)) if num_parameters else 0
