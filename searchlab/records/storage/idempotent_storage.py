"""A database storage whose writes of trials can be retried: each takes effect at most once."""

from __future__ import annotations

import json
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import Session

from searchlab.records.optuna_database import models
from searchlab.records.storage.fenced_storage import FencedStorage
from searchlab.records.storage.row_storage import RowStorage
from searchlab.records.trial_record import CLAIM, CREATED_BY

__all__ = ["IdempotentStorage"]


class IdempotentStorage(FencedStorage):
    """A database in which creating and claiming a trial can be retried.

    If a connection ends during a commit, nobody knows whether the commit took place. A retry
    looks, under the lock that every writer takes, for the mark that the first try left if it did.

    Every ``fence`` guards creating, claiming and taking over trials.
    """

    def __init__(self, url: str, *, engine_options: dict[str, Any]) -> None:
        self._attempted: set[str] = set()
        super().__init__(url, engine_options=engine_options)

    def create_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        """Create the trial, once for each CREATED_BY.

        Optuna's own method tries five times, and so may create five.
        """
        stamp = template_trial.system_attrs.get(CREATED_BY) if template_trial else None
        with self.writing() as session:
            # The lock under which trials get their numbers.
            models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
            trial = self._find_earlier(session, study_id, stamp)
            trial = trial or self.add_trial_rows(study_id, template_trial, session)
            return self.build_trial(trial)

    def _find_earlier(
        self, session: Session, study_id: int, stamp: str | None
    ) -> models.TrialModel | None:
        """Return the trial that an earlier try created, if any."""
        if stamp is None:
            return None
        if stamp not in self._attempted:
            self._attempted.add(stamp)
            return None
        return (
            session.query(models.TrialModel)
            .join(models.TrialSystemAttributeModel)
            .filter(
                models.TrialModel.study_id == study_id,
                models.TrialSystemAttributeModel.key == CREATED_BY,
                models.TrialSystemAttributeModel.value_json == json.dumps(stamp),
            )
            .order_by(models.TrialModel.trial_id)
            .first()
        )

    def claim(self, trial_id: int, claimer: str) -> bool:
        """Set a waiting trial RUNNING for ``claimer``, a text used for this call only.

        Return whether the trial is the claimer's, which it stays however often this is called.
        """
        with self.writing() as session:
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
            attribute = models.TrialSystemAttributeModel
            if trial.state == TrialState.RUNNING:
                mark = attribute.find_by_trial_and_key(trial, CLAIM, session)
                return mark is not None and str(mark.value_json) == json.dumps(claimer)
            if trial.state == TrialState.WAITING:
                self.add_trial_attribute(session, attribute, trial_id, CLAIM, claimer)
            # The same session, by thread: mark and state are one transaction.
            return bool(RowStorage.set_trial_state_values(self, trial_id, TrialState.RUNNING))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See Optuna; a trial's owner can be changed with the latest token only."""
        if key != CREATED_BY:
            super().set_trial_system_attr(trial_id, key, value)
            return
        with self.writing():
            RowStorage.set_trial_system_attr(self, trial_id, key, value)
