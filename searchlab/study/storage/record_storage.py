"""Optuna's database storage with the writes that must take effect once at most, or in turn."""

from __future__ import annotations

import json
from typing import Any

from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import Session

from searchlab.study.storage.fencing import require_token
from searchlab.study.storage.row_storage import RowStorage

__all__ = ["CLAIM", "CREATED_BY", "RecordStorage"]

# Who created a trial's row, in that row's first transaction.
CREATED_BY = "searchlab:origin"
# Who took a waiting trial, in the transaction that took it.
CLAIM = "searchlab:claim"


class RecordStorage(RowStorage):
    """A database in which creating and claiming a trial may be tried again.

    When a connection ends during a commit nobody knows whether the commit took place. A second
    try looks, under the lock that every writer takes, for the mark that the first would have left.

    While ``turn`` is set, creating, claiming and taking over trials raises StaleTokenError, and
    writes nothing, once it is no longer the study's latest turn.
    """

    def __init__(self, url: str, *, engine_options: dict[str, Any]) -> None:
        self.turn: str | None = None
        self._attempted: set[str] = set()
        super().__init__(url, engine_kwargs=engine_options)

    @staticmethod
    def _fill_storage_url_template(template: str) -> str:
        return template  # a password may hold braces

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        """Create the trial, once for each stamp.

        Replaces Optuna's method, which tries five times and so may create five.
        """
        stamp = template_trial.system_attrs.get(CREATED_BY) if template_trial else None
        with _create_scoped_session(self.scoped_session) as session:
            # The lock under which numbers are given.
            models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
            trial = self._find_earlier(session, study_id, stamp)
            if trial is None:
                if self.turn is not None:
                    require_token(session, study_id, self.turn)
                trial = self._get_prepared_new_trial(study_id, template_trial, session)
            return self._build_frozen_trial_from_trial_model(trial)

    def _find_earlier(
        self, session: Session, study_id: int, stamp: str | None
    ) -> models.TrialModel | None:
        if stamp is None:
            return None
        if stamp not in self._attempted:
            self._attempted.add(stamp)
            return None
        return find_stamped(session, study_id, stamp)

    def claim(self, trial_id: int, token: str) -> bool:
        """Set a waiting trial RUNNING for the holder of ``token``, a text used for this only.

        Returns whether it is the holder's, which it stays however often this is called.
        """
        with _create_scoped_session(self.scoped_session) as session:
            # The study's lock before the trial's, everywhere. One that is claimed may be ours.
            self._require_turn(session, trial_id, state=TrialState.WAITING)
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
            attribute = models.TrialSystemAttributeModel
            if trial.state == TrialState.RUNNING:
                mark = attribute.find_by_trial_and_key(trial, CLAIM, session)
                return mark is not None and str(mark.value_json) == json.dumps(token)
            if trial.state == TrialState.WAITING:
                self._set_trial_attr_without_commit(session, attribute, trial_id, CLAIM, token)
            # The same session, by thread: mark and state are one transaction.
            return bool(self.set_trial_state_values(trial_id, TrialState.RUNNING))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See optuna; whose a trial is may be changed in one's turn only."""
        if key != CREATED_BY or self.turn is None:
            super().set_trial_system_attr(trial_id, key, value)
            return
        attribute = models.TrialSystemAttributeModel
        with _create_scoped_session(self.scoped_session, True) as session:
            self._require_turn(session, trial_id)
            self._set_trial_attr_without_commit(session, attribute, trial_id, key, value)

    def _require_turn(
        self, session: Session, trial_id: int, *, state: TrialState | None = None
    ) -> None:
        """In a turn, see that it is the latest until the session ends; for a trial in a state."""
        if self.turn is None:
            return
        trial = models.TrialModel
        columns = session.query(trial.study_id, trial.state)
        found = columns.filter(trial.trial_id == trial_id).one_or_none()
        if found is None:
            raise KeyError(models.NOT_FOUND_MSG)
        if state in (None, found.state):
            require_token(session, found.study_id, self.turn)


def find_stamped(session: Session, study_id: int, stamp: str) -> models.TrialModel | None:
    """Return the study's trial that bears the stamp."""
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
