"""A database storage that writes nothing for a driver that no longer has its study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from sqlalchemy.orm import Session

from searchlab.records.optuna_database import create_scoped_session
from searchlab.records.storage.database_file import DatabaseFile
from searchlab.records.storage.fencing import (
    Fence,
    check_token,
    claim_token,
    find_study,
    require_token,
    was_deleted,
)
from searchlab.records.storage.row_storage import RowStorage
from searchlab.records.storage.urls import find_sqlite_file

__all__ = ["FencedStorage"]

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _fenced(method: _Method) -> _Method:
    """Return a writing method of Optuna's storages that first requires a lasting token."""

    def call(self: FencedStorage, *values: Any, **named: Any) -> Any:
        if self.fence is None or self.fence.is_for_decision:
            return method(self, *values, **named)
        # The inner method takes the same session, by thread: both are one transaction.
        with self.writing():
            return method(self, *values, **named)

    return cast("_Method", call)


class FencedStorage(RowStorage):
    """A database in which every write of a driver depends on its token.

    While ``fence`` is set, what it guards writes nothing, and raises as ``require_token``, unless
    its token is the study's latest. InfrastructureError also tells that the file of an SQLite
    database is not there any more.
    """

    def __init__(self, url: str, *, engine_options: dict[str, Any]) -> None:
        self.fence: Fence | None = None
        self._file: DatabaseFile | None = None
        self._driven: tuple[int, str] | None = None
        super().__init__(url, engine_kwargs=engine_options)

    def drive(self, study: str, token: str, *, is_alone: bool) -> None:
        """Watch over a study; a driver that ``is_alone`` claims it for all its writes."""
        if (path := find_sqlite_file(self.url)) is not None:
            self._file = DatabaseFile(path)
        with create_scoped_session(self.scoped_session) as session:
            if is_alone:
                study_id = claim_token(session, study, token)
            else:
                study_id = find_study(session, study)
            if study_id is None:
                raise was_deleted(study)
        self._driven = study_id, study
        if is_alone:
            self.fence = Fence(study_id=study_id, study=study, token=token, is_for_decision=False)

    def check_driven(self) -> None:
        """Raise as a write would if another driver has the study, or it is not there any more."""
        if self._file is not None:
            self._file.check_content()
        if self._driven is None:
            return
        study_id, study = self._driven
        with create_scoped_session(self.scoped_session) as session:
            if find_study(session, study) != study_id:
                raise was_deleted(study)
            if self.fence is not None and not self.fence.is_for_decision:
                check_token(session, self.fence)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that requires the token, if there is one."""
        if self._file is not None:
            self._file.check()
        with create_scoped_session(self.scoped_session) as session:
            if self.fence is not None:
                require_token(session, self.fence)
            yield session

    set_trial_state_values = _fenced(RowStorage.set_trial_state_values)
    write_first_param = _fenced(RowStorage.write_first_param)
    write_params = _fenced(RowStorage.write_params)
    set_trial_intermediate_value = _fenced(RowStorage.set_trial_intermediate_value)
    set_trial_user_attr = _fenced(RowStorage.set_trial_user_attr)
    set_trial_system_attr = _fenced(RowStorage.set_trial_system_attr)
    set_trial_attributes = _fenced(RowStorage.set_trial_attributes)
    set_study_user_attr = _fenced(RowStorage.set_study_user_attr)
    set_study_system_attr = _fenced(RowStorage.set_study_system_attr)
