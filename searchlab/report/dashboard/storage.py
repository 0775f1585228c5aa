"""Runs as one storage of optuna-dashboard: with notes, files, and the leaderboard's winners."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from optuna.storages import BaseStorage

from searchlab.config.trial import ROLES
from searchlab.errors import InfrastructureError, InputError
from searchlab.records.optuna_internals import FrozenStudy
from searchlab.report.dashboard.explanation import TRIAL_IDS

if TYPE_CHECKING:
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, TrialState

    from searchlab.config.trial import Role
    from searchlab.report.dashboard.explained_run import ExplainedRun

__all__ = ["RunsStorage"]

_Method = TypeVar("_Method", bound=Callable[..., Any])

# The studies of a run by key, so that the whole comes first where the last key does: in the
# dashboard's list.
_SHOWN: tuple[Role | None, ...] = (*reversed(ROLES), None)


def _refused(method: _Method) -> _Method:
    """Return a method of Optuna's storages that would change what a run's folder records."""

    def call(self: RunsStorage, *values: Any, **named: Any) -> Any:
        raise InputError("cannot be done in the dashboard", where=method.__name__)

    return cast("_Method", call)


def _of_trial(method: _Method) -> _Method:
    """Return a method of Optuna's storages that writes to a trial, in the storage that has it."""

    def call(self: RunsStorage, trial_id: int, *values: Any, **named: Any) -> Any:
        run, own_id = self._find_trial(trial_id)
        try:
            return getattr(run.storage, method.__name__)(own_id, *values, **named)
        finally:
            run.forget()

    return cast("_Method", call)


def _of_study(method: _Method) -> _Method:
    """Return a method of Optuna's storages that writes to a study, in the storage that has it."""

    def call(self: RunsStorage, study_id: int, *values: Any, **named: Any) -> Any:
        run, _ = self._find_study(study_id)
        try:
            return getattr(run.storage, method.__name__)(run.outline().study_id, *values, **named)
        finally:
            run.forget()

    return cast("_Method", call)


class RunsStorage(BaseStorage):
    """Shows runs as studies: each run whole but for its confirmations, and each role alone.

    A study's best trial is the leaderboard's first; Optuna's is the one with the luckiest search
    folds. Notes, user attributes and files are made when they are asked for, at most every few
    seconds, and nothing of them is written. A note that somebody wrote in the dashboard is shown
    instead. ``list_runs`` returns the runs that there are, each with its own place in the keys of
    studies and trials. Several threads may use it.
    """

    def __init__(self, list_runs: Callable[[], list[ExplainedRun]]) -> None:
        self._list_runs = list_runs

    def find_run(self, slot: int) -> ExplainedRun:
        """Return a run by its number. Raises KeyError if there is none."""
        for run in self._list_runs():
            if run.slot == slot:
                return run
        raise KeyError(slot)

    def list_runs(self) -> list[ExplainedRun]:
        """Return the runs that there are."""
        return self._list_runs()

    # Studies

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return every study of the runs that can be opened now."""
        return [study for run in self._list_runs() for study in self._freeze(run)]

    def _freeze(self, run: ExplainedRun) -> Iterator[FrozenStudy]:
        try:
            outline = run.outline()
        except (InputError, InfrastructureError):  # it is back in the list once it can be read
            return
        for place, role in enumerate(_SHOWN, 1):
            if role is None or role in outline.roles:
                yield FrozenStudy(
                    study_name=run.name_role(role),
                    direction=None,
                    directions=outline.directions,
                    user_attrs=outline.user_attrs,
                    system_attrs=cast("dict[str, Any]", _Attributes(run, role)),
                    study_id=run.slot * len(_SHOWN) + place,
                )

    def _find_study(self, study_id: int) -> tuple[ExplainedRun, Role | None]:
        slot, place = divmod(study_id - 1, len(_SHOWN))
        return self.find_run(slot), _SHOWN[place]

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return a study's key. Raises KeyError if there is none of this name."""
        for run in self._list_runs():
            for place, role in enumerate(_SHOWN, 1):
                if run.name_role(role) == study_name:
                    return run.slot * len(_SHOWN) + place
        raise KeyError(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return a study's name. Raises KeyError if there is none of this key."""
        run, role = self._find_study(study_id)
        return run.name_role(role)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the directions of the run's objectives."""
        return self._find_study(study_id)[0].outline().directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return what the study asks for, as people read it."""
        return dict(self._find_study(study_id)[0].outline().user_attrs)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the study's system attributes, with notes and files."""
        return dict(_Attributes(*self._find_study(study_id)).items())

    # Trials

    def _find_trial(self, trial_id: int) -> tuple[ExplainedRun, int]:
        slot, own_id = divmod(trial_id, TRIAL_IDS)
        return self.find_run(slot), own_id

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial as it is shown. Raises KeyError if there is none of this key."""
        run, _ = self._find_trial(trial_id)
        return copy.deepcopy(run.explain().find_trial(trial_id))

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return a study's trials as they are shown."""
        run, role = self._find_study(study_id)
        trials = [
            trial
            for trial in run.explain().list_trials(role)
            if states is None or trial.state in states
        ]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the leaderboard's first. Raises ValueError if no trial is complete."""
        run, role = self._find_study(study_id)
        return copy.deepcopy(run.explain().find_best(role))

    # Writes: a run's own, and none that its folder would not know of.

    create_new_study = _refused(BaseStorage.create_new_study)
    delete_study = _refused(BaseStorage.delete_study)
    create_new_trial = _refused(BaseStorage.create_new_trial)
    set_study_system_attr = _of_study(BaseStorage.set_study_system_attr)
    set_study_user_attr = _of_study(BaseStorage.set_study_user_attr)
    set_trial_intermediate_value = _of_trial(BaseStorage.set_trial_intermediate_value)
    set_trial_param = _of_trial(BaseStorage.set_trial_param)
    set_trial_state_values = _of_trial(BaseStorage.set_trial_state_values)
    set_trial_system_attr = _of_trial(BaseStorage.set_trial_system_attr)
    set_trial_user_attr = _of_trial(BaseStorage.set_trial_user_attr)


class _Attributes(Mapping[str, Any]):
    """A study's system attributes: a list of studies does not need those that take long to make."""

    def __init__(self, run: ExplainedRun, role: Role | None) -> None:
        self._run = run
        self._role = role

    @cached_property
    def _all(self) -> dict[str, Any]:
        return {**self._run.explain().list_attributes(self._role), **self._stored}

    @cached_property
    def _stored(self) -> dict[str, Any]:
        return self._run.outline().system_attrs

    def __getitem__(self, key: str) -> Any:
        is_made = key.startswith(("dashboard:", "artifacts:"))
        return (self._all if is_made else self._stored)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def items(self) -> Any:
        """Return all of them at once: the dashboard goes through them for every trial."""
        return self._all.items()
