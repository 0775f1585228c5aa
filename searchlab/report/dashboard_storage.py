"""A run's storage as optuna-dashboard sees it: with notes, and with the leaderboard's winner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from optuna.storages import BaseStorage

from searchlab.report.dashboard_notes import write_study_note, write_trial_notes
from searchlab.report.leaderboard import best_row
from searchlab.study.optuna_internals import FrozenStudy, study_id_of, trial_id_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from searchlab.report.reading import StudyReading

__all__ = ["ExplainedStorage"]

_Method = TypeVar("_Method", bound=Callable[..., Any])

_FRESH_SECONDS = 5.0  # for which notes of an unfinished study are good


def _passed_on(method: _Method) -> _Method:
    """Return a method of Optuna's storages that asks the storage within."""

    def call(self: ExplainedStorage, *values: Any, **named: Any) -> Any:
        return getattr(self._inner, method.__name__)(*values, **named)

    return cast("_Method", call)


class ExplainedStorage(BaseStorage):
    """Adds notes to a study and its trials, and names the leaderboard's first as its best trial.

    Optuna's best trial is the one with the luckiest search folds. Nothing of this is written: notes
    are made when they are asked for, of what ``read`` returns, at most every few seconds. A note
    that somebody wrote in the dashboard is shown instead. Several threads may use it.
    """

    def __init__(self, inner: BaseStorage, read: Callable[[], StudyReading]) -> None:
        self._inner = inner
        self._read = read
        self._lock = threading.Lock()
        self._made_at = -_FRESH_SECONDS
        self._study_id = -1
        self._notes: dict[str, Any] = {}
        self._winner: int | None = None
        self._is_final = False

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return a study's system attributes, with notes."""
        return self._add_notes(study_id, self._inner.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies, each with notes if it is the run's."""
        studies = self._inner.get_all_studies()
        for study in studies:
            study.system_attrs = self._add_notes(study_id_of(study), study.system_attrs)
        return studies

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the leaderboard's first; of another study, Optuna's best."""
        self._refresh()
        if study_id == self._study_id and self._winner is not None:
            return self._inner.get_trial(self._winner)
        return self._inner.get_best_trial(study_id)

    def _add_notes(self, study_id: int, attributes: dict[str, Any]) -> dict[str, Any]:
        self._refresh()
        return {**self._notes, **attributes} if study_id == self._study_id else attributes

    def _refresh(self) -> None:
        with self._lock:
            if self._is_final or time.monotonic() - self._made_at < _FRESH_SECONDS:
                return
            reading = self._read()
            self._study_id = self._inner.get_study_id_from_name(reading.spec.name)
            self._notes = _make_notes(reading)
            best = best_row(reading.records, reading.spec)
            keys = {trial.number: trial_id_of(trial) for trial in reading.trials}
            self._winner = None if best is None else keys[best.number]
            self._is_final = reading.is_finished and not reading.is_driven
            self._made_at = time.monotonic()

    create_new_study = _passed_on(BaseStorage.create_new_study)
    create_new_trial = _passed_on(BaseStorage.create_new_trial)
    delete_study = _passed_on(BaseStorage.delete_study)
    get_all_trials = _passed_on(BaseStorage.get_all_trials)
    get_n_trials = _passed_on(BaseStorage.get_n_trials)
    get_study_directions = _passed_on(BaseStorage.get_study_directions)
    get_study_id_from_name = _passed_on(BaseStorage.get_study_id_from_name)
    get_study_name_from_id = _passed_on(BaseStorage.get_study_name_from_id)
    get_study_user_attrs = _passed_on(BaseStorage.get_study_user_attrs)
    get_trial = _passed_on(BaseStorage.get_trial)
    remove_session = _passed_on(BaseStorage.remove_session)
    set_study_system_attr = _passed_on(BaseStorage.set_study_system_attr)
    set_study_user_attr = _passed_on(BaseStorage.set_study_user_attr)
    set_trial_intermediate_value = _passed_on(BaseStorage.set_trial_intermediate_value)
    set_trial_param = _passed_on(BaseStorage.set_trial_param)
    set_trial_state_values = _passed_on(BaseStorage.set_trial_state_values)
    set_trial_system_attr = _passed_on(BaseStorage.set_trial_system_attr)
    set_trial_user_attr = _passed_on(BaseStorage.set_trial_user_attr)


def _make_notes(reading: StudyReading) -> dict[str, Any]:
    """Return the system attributes of a study by which optuna-dashboard knows its notes."""
    texts = {"dashboard": write_study_note(reading)}
    trial_notes = write_trial_notes(reading)
    for trial in reading.trials:
        texts[f"dashboard:{trial_id_of(trial)}"] = trial_notes[trial.number]
    versions = {f"{place}:note_ver": 1 for place in texts}
    return {**versions, **{f"{place}:note_str:0": text for place, text in texts.items()}}
