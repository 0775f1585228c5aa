"""The mark that a study bears while it is half a copy: it says which copy is writing it.

Who begins a half copy anew puts a mark of its own in the old one's place, so that a copy which was
only thought dead stops at its next write. SQLite may give the new study the id of the deleted one.
"""

from __future__ import annotations

import json
import uuid

import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb import models

from searchlab.errors import InfrastructureError
from searchlab.study.storage.retrying_storage import RetryingStorage

__all__ = ["COPYING", "CopyMark", "database_of", "displaced"]

# A system attribute of the study: which copy is writing it, None once that is done. It cannot be
# taken away again, for Optuna has no call that does so.
COPYING = "searchlab:copying"


class CopyMark:
    """The mark of one copy, by which the study ``study_id`` is its own.

    In a database every check is of one transaction with what it allows. Other storages have no
    transactions: there a rival may come between the two, which is seen when the copy is compared.
    """

    def __init__(self, storage: BaseStorage, study_id: int, name: str) -> None:
        self._storage = storage
        self._study_id = study_id
        self._name = name
        self._value = uuid.uuid4().hex

    def put(self) -> None:
        """Mark a study that bears no mark."""
        self._storage.set_study_system_attr(self._study_id, COPYING, self._value)

    def put_instead_of(self, earlier: str) -> None:
        """Take a half copy over. Raises InfrastructureError where its mark is another by now."""
        self._exchange(earlier, self._value)

    def take_off(self) -> None:
        """Say that the copy is whole. Raises InfrastructureError where the mark is lost."""
        self._exchange(self._value, None)

    def check(self) -> None:
        """Raise InfrastructureError where the mark is lost."""
        if _read(self._storage, self._study_id) != self._value:
            raise displaced(self._name)

    def hold(self, connection: sqlalchemy.Connection) -> None:
        """Check, and keep the mark from being exchanged until this transaction ends.

        To be its first statement: being a write, it takes SQLite's lock before anything is read.
        """
        self._update(connection, self._value, self._value)

    def _exchange(self, old: str, new: str | None) -> None:
        database = database_of(self._storage)
        if database is not None:
            with database.engine.begin() as connection:
                self._update(connection, old, new)
            return
        if _read(self._storage, self._study_id) != old:
            raise displaced(self._name)
        self._storage.set_study_system_attr(self._study_id, COPYING, new)

    def _update(self, connection: sqlalchemy.Connection, old: str, new: str | None) -> None:
        table = models.StudySystemAttributeModel.__table__
        update = (
            sqlalchemy.update(table)
            .where(
                table.c.study_id == self._study_id,
                table.c.key == COPYING,
                table.c.value_json == json.dumps(old),
            )
            .values(value_json=json.dumps(new))
        )
        if connection.execute(update).rowcount != 1:
            raise displaced(self._name)


def database_of(storage: BaseStorage) -> RDBStorage | None:
    """Return the database under a storage; None for one that is none, such as a proxy."""
    database = storage.records if isinstance(storage, RetryingStorage) else storage
    return database if isinstance(database, RDBStorage) else None


def displaced(name: str) -> InfrastructureError:
    """Return the error of a copy that lost its study."""
    return InfrastructureError(
        f"the copy of study {name} was stopped: another copy took its place, or the study was "
        "deleted there meanwhile. What bears that name there now is not of this copy"
    )


def _read(storage: BaseStorage, study_id: int) -> object:
    try:
        return storage.get_study_system_attrs(study_id).get(COPYING)
    except KeyError:
        return None
