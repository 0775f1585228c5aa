"""Reading a whole study from an SQLite file, without SQLAlchemy.

SQLAlchemy takes longer to import than all else that a command needs to read a study of some hundred
trials (benchmarks/startup.py), and most studies are in the SQLite file of their run folder.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from searchlab.records.optuna_internals import TABLES_VERSION
from searchlab.records.storage.trial_rows import TrialRows, by_trial, decode_attributes

__all__ = ["ReadStudy", "read_sqlite_study"]

# As long as a writer waits, too.
_BUSY_TIMEOUT_SECONDS = 60.0

_TRIALS = "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials"
_OF_STUDY = "JOIN trials USING (trial_id) WHERE study_id = ?"
_PARAMS = (
    "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params "
    f"{_OF_STUDY} ORDER BY param_id"
)
_VALUES = (
    "SELECT trial_id, objective, value, value_type FROM trial_values "
    f"{_OF_STUDY} ORDER BY trial_value_id"
)
_STEPS = (
    "SELECT trial_id, step, intermediate_value, intermediate_value_type "
    f"FROM trial_intermediate_values {_OF_STUDY} ORDER BY trial_intermediate_value_id"
)
_USER_ATTRIBUTES = (
    "SELECT trial_id, key, value_json FROM trial_user_attributes "
    f"{_OF_STUDY} ORDER BY trial_user_attribute_id"
)
_SYSTEM_ATTRIBUTES = (
    "SELECT trial_id, key, value_json FROM trial_system_attributes "
    f"{_OF_STUDY} ORDER BY trial_system_attribute_id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStudy:
    """A study as it was at one moment: its user attributes, and its trials by number."""

    attributes: dict[str, Any]
    trials: list[FrozenTrial]


def read_sqlite_study(path: Path, name: str) -> ReadStudy | None:
    """Return a study; None if it cannot be read so, for whatever reason.

    Then ``open_storage`` can read it, or says what is wrong. Nothing is created.
    """
    try:
        # In mode rw, a file that is not there is not made.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_SECONDS)) as connection:
            connection.execute("BEGIN")
            return _read(connection, name)
    except (sqlite3.Error, OSError, ValueError):
        return None


def _read(connection: sqlite3.Connection, name: str) -> ReadStudy | None:
    if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [
        (TABLES_VERSION,)
    ]:
        return None
    found = connection.execute("SELECT study_id FROM studies WHERE study_name = ?", (name,))
    study = found.fetchone()
    if study is None:
        return None

    def rows(statement: str) -> Iterator[Any]:
        return connection.execute(statement, study)

    parts = TrialRows(
        params=by_trial(rows(_PARAMS)),
        values=by_trial(rows(_VALUES)),
        steps=by_trial(rows(_STEPS)),
        user=by_trial(rows(_USER_ATTRIBUTES)),
        system=by_trial(rows(_SYSTEM_ATTRIBUTES)),
    )
    return ReadStudy(
        attributes=decode_attributes(
            rows("SELECT study_id, key, value_json FROM study_user_attributes WHERE study_id = ?")
        ),
        trials=[
            parts.assemble(trial_id, number, TrialState[state], _moment(start), _moment(complete))
            for trial_id, number, state, start, complete in rows(
                f"{_TRIALS} WHERE study_id = ? ORDER BY number"
            )
        ],
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
