"""Fencing tokens: only the driver whose token is the study's latest may write what it guards.

A driver may lose its lock without knowing it: the lock's connection breaks, somebody removes the
lock's file, or the file system does not lock across hosts. So the right to write is a token in the
study itself. A driver that is alone claims one when it begins, and each of its writes compares it
in the same transaction. Drivers that share a study claim one for each decision, and make, claim
and take over trials with it. What an earlier holder wrote is there before the next one reads; what
it would write later is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy.orm import Session

from searchlab.errors import InfrastructureError
from searchlab.records.optuna_database import models

__all__ = [
    "TOKEN",
    "Fence",
    "StaleTokenError",
    "TakenOverError",
    "check_token",
    "claim_token",
    "find_study",
    "require_token",
    "was_deleted",
]

# The study's system attribute that holds the latest token, ``{driver}/{n}``.
TOKEN = "searchlab:turn"

_STUDIES = models.StudyModel.__table__
_ATTRIBUTES = models.StudySystemAttributeModel.__table__


# A write, though it changes nothing: a read would lock nothing in SQLite. Made once, because every
# write of a driver begins with it.
_KEEP_TOKEN = (
    sqlalchemy.update(_ATTRIBUTES)
    .where(
        _ATTRIBUTES.c.study_id == sqlalchemy.bindparam("study"),
        _ATTRIBUTES.c.key == TOKEN,
        _ATTRIBUTES.c.value_json == sqlalchemy.bindparam("token"),
    )
    .values(value_json=_ATTRIBUTES.c.value_json)
)


class StaleTokenError(InfrastructureError):
    """Another driver has decided meanwhile. Nothing was written; the decision can be repeated."""


class TakenOverError(InfrastructureError):
    """Another driver has the study now. Nothing was written, and this driver must stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A token that a driver claimed: for all that it writes, or for one decision."""

    study_id: int
    study: str
    token: str
    is_for_decision: bool


def claim_token(connection: sqlalchemy.Connection | Session, study: str, token: str) -> int | None:
    """Make a token the latest; return the study's id, or None if there is no such study.

    It waits for the write that an earlier holder is making, so whatever is read after it includes
    that write.
    """
    study_id = find_study(connection, study)
    if study_id is None:
        return None
    text = json.dumps(token)
    update = sqlalchemy.update(_ATTRIBUTES).where(*_is_token_of(study_id)).values(value_json=text)
    if _run(connection, update) == 0:
        row = {"study_id": study_id, "key": TOKEN, "value_json": text}
        connection.execute(sqlalchemy.insert(_ATTRIBUTES).values(row))
    return study_id


def find_study(connection: sqlalchemy.Connection | Session, name: str) -> int | None:
    """Return the id of the study of this name; None if there is none."""
    row = sqlalchemy.select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name)
    study_id: int | None = connection.execute(row).scalar()
    return study_id


def require_token(session: Session, fence: Fence) -> None:
    """Raise unless the token is the latest, which it stays until the commit.

    That is StaleTokenError for a decision's token, TakenOverError for a driver's, and
    InfrastructureError if the study was deleted.
    """
    token = {"study": fence.study_id, "token": json.dumps(fence.token)}
    if _run(session, _KEEP_TOKEN, token) == 0:
        check_token(session, fence)


def check_token(session: Session, fence: Fence) -> None:
    """Raise as ``require_token``, without a lock."""
    found = sqlalchemy.select(_ATTRIBUTES.c.value_json).where(*_is_token_of(fence.study_id))
    text = session.execute(found).scalar()
    if text == json.dumps(fence.token):
        return
    if text is None:
        raise was_deleted(fence.study)
    if fence.is_for_decision:
        raise StaleTokenError(
            "this driver lost the connection of its lock while it decided what to run next, and "
            "another driver has decided meanwhile"
        )
    holder = str(json.loads(text)).rpartition("/")[0]
    raise TakenOverError(
        f"the study {fence.study} was taken over by the driver {holder}: this driver's lock file "
        "was removed, or the file system does not lock across hosts. This driver stops; the study "
        "goes on there"
    )


def was_deleted(study: str) -> InfrastructureError:
    """Return the error of a driver whose study is gone from its storage."""
    return InfrastructureError(
        f"the study {study} was deleted in its storage while it ran: nothing more can be recorded. "
        "Restore it from a copy or an export, or run it again under another name"
    )


def _run(
    connection: sqlalchemy.Connection | Session,
    update: sqlalchemy.Update,
    values: Mapping[str, object] | None = None,
) -> int:
    """Return how many rows an update found."""
    result = connection.execute(update, values or {})
    assert isinstance(result, sqlalchemy.CursorResult)
    return result.rowcount


def _is_token_of(study_id: int) -> tuple[sqlalchemy.ColumnElement[bool], ...]:
    return _ATTRIBUTES.c.study_id == study_id, _ATTRIBUTES.c.key == TOKEN
