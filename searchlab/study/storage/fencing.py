"""The turn to decide what a study runs next, in its database: only the latest turn's writes count.

A driver may lose its turn between reading the trials and making one, without knowing it. So every
turn leaves a token of its own in the study, under the row lock that is taken for each new trial,
and who makes a trial in a turn compares the token under the same lock. What an earlier turn wrote
is there before the next one reads; what it would write later is refused.
"""

from __future__ import annotations

import json

import sqlalchemy
from optuna.storages._rdb import models
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from searchlab.errors import InfrastructureError

__all__ = ["TURN", "StaleTokenError", "claim_token", "require_token"]

# The study's system attribute that holds the token of the latest turn.
TURN = "searchlab:turn"


class StaleTokenError(InfrastructureError):
    """Another driver decides meanwhile; nothing was written. The decision can be made anew."""


def claim_token(study_name: str, token: str) -> sqlalchemy.Executable:
    """Return PostgreSQL's statement that makes a turn the latest; a row is the answer that it is.

    Without the study there is none. The statement waits for the trial that an earlier turn is
    making, so what is read after it holds that one.
    """
    attribute = models.StudySystemAttributeModel
    study = models.StudyModel
    values = (
        sqlalchemy.select(
            study.study_id,
            sqlalchemy.literal(TURN).label("key"),
            sqlalchemy.literal(json.dumps(token)).label("value_json"),
        )
        .where(study.study_name == study_name)
        .with_for_update()
    )
    statement = postgresql.insert(attribute).from_select(["study_id", "key", "value_json"], values)
    return statement.on_conflict_do_update(
        index_elements=[attribute.study_id, attribute.key],
        set_={"value_json": statement.excluded.value_json},
    ).returning(attribute.study_id)


def require_token(session: Session, study_id: int, token: str) -> None:
    """Raise StaleTokenError unless the token is the latest, which it stays until the commit."""
    # The lock under which numbers are given and turns begin.
    models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
    attribute = models.StudySystemAttributeModel
    found = (
        session.query(attribute.value_json)
        .filter(attribute.study_id == study_id, attribute.key == TURN)
        .scalar()
    )
    if found != json.dumps(token):
        raise StaleTokenError(
            "the lock's connection was lost while this driver decided what to run next, and "
            "another driver has decided meanwhile"
        )
