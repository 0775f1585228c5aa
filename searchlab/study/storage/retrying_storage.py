"""A storage that outlives outages: calls are tried again, and writes take effect once."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from searchlab.study.storage.record_storage import CLAIM, CREATED_BY, RecordStorage
from searchlab.study.storage.retry_policy import RetryPolicy

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.study._frozen import FrozenStudy

__all__ = ["CLAIM", "CREATED_BY", "RetryingStorage"]

_T = TypeVar("_T")


class RetryingStorage(BaseStorage, BaseHeartbeat):
    """Wraps a storage so that an outage shorter than ``patience_seconds`` goes unnoticed.

    A call that fails for the storage's sake is repeated until it succeeds. Where the answer to a
    write was lost, the repetition finds out whether the write took place: no trial is created
    twice, told twice or lost. Each trial is stamped from its first moment with the system
    attribute ``searchlab:origin``, ``{driver}/{n}``; a template that bears a stamp keeps it, for
    it comes through a proxy or from a copied study.

    Claims of waiting trials are exact on databases. Through a gRPC proxy one case is open: two
    drivers claim the same trial and the winner's answer is lost; then neither gets it, and its
    RUNNING row is settled when the study is resumed.

    Raises InfrastructureError where an outage outlasts the patience, and at once where waiting
    mends nothing (a full disk, a read-only database, a refused password, missing tables).
    Other errors are Optuna's own and pass through. May be used by several threads.
    """

    def __init__(
        self,
        inner: BaseStorage,
        *,
        url: str = "",
        driver: str | None = None,
        patience_seconds: float = 120.0,
    ) -> None:
        self._inner = inner
        self.driver = driver or uuid.uuid4().hex
        self._patience = RetryPolicy(url or type(inner).__name__, seconds=patience_seconds)
        self._counter = itertools.count()
        # The cache that Optuna lays over a database keeps it here.
        backend = getattr(inner, "_backend", None)
        self._records = backend if isinstance(backend, RecordStorage) else None

    @property
    def inner(self) -> BaseStorage:
        """The storage that is wrapped."""
        return self._inner

    @property
    def records(self) -> RecordStorage | None:
        """The database under it; None for a storage that is none."""
        return self._records

    def stop_waiting(self) -> None:
        """End the patience for good: the call that waits, and later ones, raise when they fail.

        May be called from a signal handler.
        """
        self._patience.end()

    def close(self) -> None:
        """Close the connections; the storage opens new ones when it is used again (not gRPC)."""
        if self._records is not None:
            self._records.scoped_session.remove()
            self._records.engine.dispose()
        close = getattr(self._inner, "close", None)
        if close is not None:
            close()

    def remove_session(self) -> None:
        """Give this thread's connection back."""
        self._inner.remove_session()

    def _next_token(self) -> str:
        return f"{self.driver}/{next(self._counter)}"

    # Studies.

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study; tried again, the empty one of that name counts as created."""
        # Named here, so that a second try asks for the same one. The prefix is Optuna's.
        name = study_name or f"no-name-{uuid.uuid4()}"

        def create_again() -> int:
            try:
                return self._inner.create_new_study(directions, name)
            except DuplicatedStudyError:
                study_id = self._inner.get_study_id_from_name(name)
                same = self._inner.get_study_directions(study_id) == list(directions)
                if not same or self._inner.get_all_trials(study_id, deepcopy=False):
                    raise
                return study_id

        return self._call(lambda: self._inner.create_new_study(directions, name), create_again)

    def delete_study(self, study_id: int) -> None:
        """Delete a study; tried again, one that is gone counts as deleted."""

        def delete_again() -> None:
            try:
                self._inner.delete_study(study_id)
            except KeyError:
                return

        self._call(lambda: self._inner.delete_study(study_id), delete_again)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """See Optuna; writing the same again changes nothing."""
        self._call(lambda: self._inner.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """See Optuna; writing the same again changes nothing."""
        self._call(lambda: self._inner.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        """See Optuna."""
        return self._call(lambda: self._inner.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        """See Optuna."""
        return self._call(lambda: self._inner.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """See Optuna."""
        return self._call(lambda: self._inner.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """See Optuna."""
        return self._call(lambda: self._inner.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """See Optuna."""
        return self._call(lambda: self._inner.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        """See Optuna."""
        return self._call(self._inner.get_all_studies)

    # Trials.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial and stamp it; tried again, the one with its stamp counts as created."""
        template = self._stamp(template_trial)
        stamp = template.system_attrs[CREATED_BY]

        def create_again() -> int:
            for trial in reversed(self._inner.get_all_trials(study_id, deepcopy=False)):
                if trial.system_attrs.get(CREATED_BY) == stamp:
                    return trial._trial_id
            return self._inner.create_new_trial(study_id, template)

        return self._call(lambda: self._inner.create_new_trial(study_id, template), create_again)

    def _stamp(self, template: FrozenTrial | None) -> FrozenTrial:
        # Without a template storages make just this: a running trial that starts now.
        trial = copy.copy(template) if template else create_trial(state=TrialState.RUNNING)
        trial._system_attrs = {CREATED_BY: self._next_token()} | trial.system_attrs
        return trial

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """See Optuna; tried again, a trial that ended in just this way counts as told."""
        if state == TrialState.RUNNING and values is None:
            return self._claim(trial_id)

        def tell_again() -> bool:
            try:
                return self._inner.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                told = self._inner.get_trial(trial_id)
                if told.state != state or (values and list(values) != list(told.values or ())):
                    raise
                return True

        tell = self._inner.set_trial_state_values
        return self._call(lambda: tell(trial_id, state, values), tell_again)

    def _claim(self, trial_id: int) -> bool:
        records = self._records
        if records is not None:
            token = self._next_token()
            return self._call(lambda: records.claim(trial_id, token))
        # A storage that can't leave a mark with the claim: every claimer leaves it before.
        mark = f"{CLAIM}:{self.driver}"
        self._call(lambda: self._inner.set_trial_system_attr(trial_id, mark, True))

        def claim_again() -> bool:
            if self._inner.set_trial_state_values(trial_id, TrialState.RUNNING):
                return True
            trial = self._inner.get_trial(trial_id)
            claimers = {key for key in trial.system_attrs if key.startswith(f"{CLAIM}:")}
            return trial.state == TrialState.RUNNING and claimers == {mark}

        claim = self._inner.set_trial_state_values
        return self._call(lambda: claim(trial_id, TrialState.RUNNING), claim_again)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """See Optuna; writing the same again changes nothing."""
        write = self._inner.set_trial_param
        self._call(lambda: write(trial_id, param_name, param_value_internal, distribution))

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """See Optuna; writing the same again changes nothing."""
        write = self._inner.set_trial_intermediate_value
        self._call(lambda: write(trial_id, step, intermediate_value))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See Optuna; writing the same again changes nothing."""
        self._call(lambda: self._inner.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See Optuna; writing the same again changes nothing."""
        self._call(lambda: self._inner.set_trial_system_attr(trial_id, key, value))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """See Optuna."""
        find = self._inner.get_trial_id_from_study_id_trial_number
        return self._call(lambda: find(study_id, trial_number))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """See Optuna."""
        return self._call(lambda: self._inner.get_trial(trial_id))

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """See Optuna."""
        return self._call(lambda: self._inner.get_all_trials(study_id, deepcopy, states))

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """See Optuna."""
        return self._call(lambda: self._inner.get_best_trial(study_id))

    # Rows of a database that are read one by one, beside what Optuna offers.

    def read_states(
        self, study_id: int, *, also: Iterable[int], after: int
    ) -> dict[int, TrialState]:
        """See RowStorage."""
        records = self._records
        assert records is not None
        return self._call(lambda: records.read_states(study_id, also=also, after=after))

    def read_system_attribute(self, trial_ids: Iterable[int], key: str) -> list[tuple[int, Any]]:
        """See RowStorage."""
        records = self._records
        assert records is not None
        return self._call(lambda: records.read_system_attribute(trial_ids, key))

    # Heartbeats: Optuna asks whether a storage has them by its type, then by the interval.

    def record_heartbeat(self, trial_id: int) -> None:
        """See Optuna."""
        inner = self._inner
        assert isinstance(inner, BaseHeartbeat)
        self._call(lambda: inner.record_heartbeat(trial_id))

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        inner = self._inner
        assert isinstance(inner, BaseHeartbeat)
        return self._call(lambda: inner._get_stale_trial_ids(study_id))

    def get_heartbeat_interval(self) -> int | None:
        """See Optuna; None where the wrapped storage has no heartbeats."""
        inner = self._inner
        return inner.get_heartbeat_interval() if isinstance(inner, BaseHeartbeat) else None

    def get_heartbeat_stale_trial_callback(self) -> Callable[[Study, FrozenTrial], None] | None:
        """See Optuna."""
        assert isinstance(self._inner, BaseHeartbeat)
        return self._inner.get_heartbeat_stale_trial_callback()

    def _call(self, action: Callable[[], _T], again: Callable[[], _T] | None = None) -> _T:
        return self._patience.call(action, again)
