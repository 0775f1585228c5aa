"""A storage that survives outages: calls are retried, and each write takes effect once."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from searchlab.errors import InfrastructureError
from searchlab.records.storage.idempotent_storage import IdempotentStorage
from searchlab.records.storage.retry_policy import RetryPolicy
from searchlab.records.trial_record import CREATED_BY

__all__ = ["RetryingStorage"]

_T = TypeVar("_T")
_Method = TypeVar("_Method", bound=Callable[..., Any])


def _retried(method: _Method) -> _Method:
    """Return a method of Optuna's storages that is repeated in an outage, unchanged."""

    def call(self: RetryingStorage, *values: Any, **named: Any) -> Any:
        repeated = getattr(self._inner, method.__name__)
        return self._call(lambda: repeated(*values, **named))

    return cast("_Method", call)


class RetryingStorage(BaseStorage):
    """Wraps a storage so that a study does not notice outages shorter than ``retry_seconds``.

    A call that fails because of the storage is repeated until it succeeds. If the answer to a
    write was lost, the retry finds out whether the write took place: no trial is created twice,
    told twice or lost. Each trial bears from its first moment the system attribute
    ``searchlab:origin``, ``{driver}/{n}``; a template that has one keeps it.

    ``inner`` is Optuna's cache over ``database``. Raises InfrastructureError if an outage lasts
    longer than ``retry_seconds``, and at once if no retry can help (a full disk, a read-only
    database, a refused password, missing tables). Other errors are Optuna's own and pass through.
    Several threads may use it.
    """

    def __init__(
        self,
        inner: BaseStorage,
        *,
        database: IdempotentStorage,
        url: str,
        driver: str | None = None,
        retry_seconds: float = 120.0,
    ) -> None:
        self._inner = inner
        self.database = database
        self.driver = driver or uuid.uuid4().hex
        self._policy = RetryPolicy(url, seconds=retry_seconds)
        self._counter = itertools.count()

    def stop_waiting(self) -> None:
        """Retry nothing from now on: a call under way, and later ones, raise as soon as they fail.

        A signal handler may call this.
        """
        self._policy.end()

    def drive(self, study: str, *, is_alone: bool) -> None:
        """Watch over a study; a driver that ``is_alone`` takes it from whoever drove it before.

        From then on a call raises InfrastructureError if the study, or its SQLite file, is gone or
        replaced; and if this driver is alone, each of its writes once another one took the study.
        """
        token = f"{self.driver}/alone"
        self._call(lambda: self.database.drive(study, token, is_alone=is_alone))

    def check_driven(self) -> None:
        """Raise InfrastructureError if a call would, but for an outage, which may pass."""
        self._policy.glance(self.database.check_driven)

    def close(self) -> None:
        """Close the connections; the storage opens new ones when it is used again."""
        self.database.scoped_session.remove()
        self.database.engine.dispose()

    def remove_session(self) -> None:
        """Give this thread's connection back."""
        self._inner.remove_session()

    def _next_stamp(self) -> str:
        return f"{self.driver}/{next(self._counter)}"

    # Studies.

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study; on a retry, an empty one of that name counts as created."""
        # Named here, so that a retry asks for the same one. The prefix is Optuna's.
        name = f"no-name-{uuid.uuid4()}" if study_name is None else study_name

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
        """Delete a study; on a retry, one that is gone counts as deleted."""

        def delete_again() -> None:
            try:
                self._inner.delete_study(study_id)
            except KeyError:
                return

        self._call(lambda: self._inner.delete_study(study_id), delete_again)

    # Trials.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial with a stamp, by which the database knows a retry."""
        template = self._stamp(template_trial)
        return self._call(lambda: self._inner.create_new_trial(study_id, template))

    def _stamp(self, template: FrozenTrial | None) -> FrozenTrial:
        # Without a template storages make the same: a running trial that starts now.
        trial = copy.copy(template) if template else create_trial(state=TrialState.RUNNING)
        trial.system_attrs = {CREATED_BY: self._next_stamp()} | trial.system_attrs
        return trial

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """See Optuna; on a retry, a trial that ended in exactly this way counts as told."""
        if state == TrialState.RUNNING and values is None:
            claimer = self._next_stamp()
            return self._call(lambda: self.database.claim(trial_id, claimer))

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

    # Reads, and writes that change nothing if they are repeated.

    set_study_user_attr = _retried(BaseStorage.set_study_user_attr)
    set_study_system_attr = _retried(BaseStorage.set_study_system_attr)
    get_study_id_from_name = _retried(BaseStorage.get_study_id_from_name)
    get_study_name_from_id = _retried(BaseStorage.get_study_name_from_id)
    get_study_directions = _retried(BaseStorage.get_study_directions)
    get_study_user_attrs = _retried(BaseStorage.get_study_user_attrs)
    get_study_system_attrs = _retried(BaseStorage.get_study_system_attrs)
    get_all_studies = _retried(BaseStorage.get_all_studies)
    set_trial_param = _retried(BaseStorage.set_trial_param)
    set_trial_intermediate_value = _retried(BaseStorage.set_trial_intermediate_value)
    set_trial_user_attr = _retried(BaseStorage.set_trial_user_attr)
    set_trial_system_attr = _retried(BaseStorage.set_trial_system_attr)
    get_trial_id_from_study_id_trial_number = _retried(
        BaseStorage.get_trial_id_from_study_id_trial_number
    )
    get_trial = _retried(BaseStorage.get_trial)
    get_all_trials = _retried(BaseStorage.get_all_trials)
    get_best_trial = _retried(BaseStorage.get_best_trial)

    # Rows of the database, beside what Optuna offers.

    def set_trial_attributes(
        self, trial_id: int, *, user: Mapping[str, Any], system: Mapping[str, Any]
    ) -> None:
        """See RowStorage; a repetition changes nothing."""
        write = self.database.set_trial_attributes
        self._call(lambda: write(trial_id, user=user, system=system))

    @contextmanager
    def params_together(self, trial_id: int) -> Iterator[None]:
        """Write the parameters that a trial gets in this block at its end, in one transaction.

        The first of a name in the study is written at once, after those before it. What came before
        an error is written, unless the storage failed.
        """
        rows = self.database.buffer_params(trial_id)
        try:
            yield
        except InfrastructureError:
            rows.clear()
            raise
        finally:
            self.database.stop_buffering(trial_id)
            if rows:
                self._call(lambda: self.database.write_params(trial_id, rows))

    def read_states(
        self, study_id: int, *, also: Iterable[int], after: int
    ) -> dict[int, TrialState]:
        """See RowStorage."""
        return self._call(lambda: self.database.read_states(study_id, also=also, after=after))

    def read_system_attribute(self, trial_ids: Iterable[int], key: str) -> list[tuple[int, Any]]:
        """See RowStorage."""
        return self._call(lambda: self.database.read_system_attribute(trial_ids, key))

    def _call(self, action: Callable[[], _T], again: Callable[[], _T] | None = None) -> _T:
        try:
            return self._policy.call(action, again)
        except KeyError:  # no such trial or study, perhaps because the study was deleted
            self._policy.call(self.database.check_driven)
            raise
