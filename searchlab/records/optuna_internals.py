"""Every use of what Optuna keeps private of studies, trials and samplers, each with its reason.

``optuna_database.py`` has that of its databases, which needs SQLAlchemy.

``pyproject.toml`` pins the minor version of Optuna that these were tested with; the tests of this
module say which of them a new version has changed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optuna.samplers import GPSampler, NSGAIISampler
from optuna.study import Study

# What BaseStorage.get_all_studies returns.
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from optuna.storages import BaseStorage
    from optuna.trial import TrialState

__all__ = [
    "TABLES_VERSION",
    "AdaptedGPSampler",
    "FrozenStudy",
    "copy_trial",
    "frozen_of",
    "generation_key",
    "known_params",
    "reopen_trial",
    "show_only",
    "storage_of",
    "study_id_of",
    "trial_id_of",
    "write_system_attribute",
]

TABLES_VERSION = "v3.2.0.a"
"""The version of Optuna's tables that was tested, as Optuna notes it in ``alembic_version``."""


def storage_of(study: Study) -> BaseStorage:
    """Return the storage of a study: Optuna makes a study of a storage, but never gives it back."""
    return study._storage


def study_id_of(study: Study | FrozenStudy) -> int:
    """Return the key of a study in its storage, which all calls of a storage take."""
    return study._study_id


def trial_id_of(trial: Trial | FrozenTrial) -> int:
    """Return the key of a trial in its storage, which is not its number."""
    return trial._trial_id


def copy_trial(trial: FrozenTrial, *, trial_id: int) -> FrozenTrial:
    """Return a copy under another key, for a storage that shows trials of several others.

    Its attributes are those of the original until they are set anew; a storage's must not change.
    """
    copied = copy.copy(trial)
    copied._trial_id = trial_id
    return copied


def frozen_of(trial: Trial) -> FrozenTrial:
    """Return what a live trial knows of itself, without the copies that its properties make.

    It is as the storage holds it when the trial is made; suggesting and reporting add to it.
    """
    return trial._cached_frozen_trial


def reopen_trial(study: Study, number: int) -> Trial:
    """Return a running trial to go on with: Optuna makes one of its key, which it shows nobody."""
    storage = storage_of(study)
    return Trial(study, storage.get_trial_id_from_study_id_trial_number(study_id_of(study), number))


def write_system_attribute(study: Study, trial: Trial | FrozenTrial, key: str, value: Any) -> None:
    """Write a system attribute of a trial that has not ended.

    User attributes are shown by optuna-dashboard, every one of them; Optuna has deprecated its
    public way to write the others.
    """
    study._storage.set_trial_system_attr(trial._trial_id, key, value)


def known_params(trial: Trial | FrozenTrial) -> dict[str, Any]:
    """Return the parameters that a trial has, and those that it was enqueued with.

    Optuna shows the latter to nobody before they are suggested.
    """
    frozen = trial if isinstance(trial, FrozenTrial) else frozen_of(trial)
    return {**frozen.system_attrs.get("fixed_params", {}), **frozen.params}


def show_only(study: Study, trials: Sequence[FrozenTrial]) -> Study:
    """Return the study as a sampler of Optuna's would see it if it had these trials only.

    What the sampler writes goes to the study itself. Hyperband shows a sampler the trials of one
    bracket in the same way, and there is no public one.
    """
    return _ShownStudy(study, trials)


class _ShownStudy(Study):
    def __init__(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        # Study.__init__ would ask the storage for the study's name and directions again.
        self.study_name = study.study_name
        self.sampler = study.sampler
        self.pruner = study.pruner
        self._study_id = study._study_id
        self._storage = study._storage
        self._directions = study._directions
        self._thread_local = study._thread_local
        self._shown = trials

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]


def generation_key(sampler: NSGAIISampler) -> str:
    """Return the system attribute in which NSGA-II notes a trial's generation.

    Optuna puts a trial into the generation in which it was asked for; here it is another.
    """
    return sampler._get_generation_key()


class AdaptedGPSampler(GPSampler):
    """Optuna's Gaussian process sampler, with another search for the best point.

    ``search`` takes the acquisition function, which has ``eval_acqf_no_grad`` and ``search_space``,
    and returns the normalised parameters. Optuna lets a subclass choose it, without a promise.
    """

    def __init__(self, search: Callable[[Any], Any], *, seed: int) -> None:
        super().__init__(seed=seed, n_startup_trials=0)
        self._search = search

    def _optimize_acqf(self, acqf: Any, best_params: Any) -> Any:
        return self._search(acqf)
