"""Fencing tokens: of the drivers that share a study, only the latest to decide may write.

A driver may lose its lock between reading the trials and making one, without knowing it. So each
decision begins by writing a token into the study, under the row lock that is taken for every new
trial, and each trial is made under the same lock after a comparison of the token. What an earlier
decision wrote is there before the next one reads; what it would write later is refused.
"""

from __future__ import annotations

import json

import sqlalchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from searchlab.errors import InfrastructureError
from searchlab.study.optuna_internals import models

__all__ = ["TOKEN", "StaleTokenError", "claim_token", "require_token"]

# The study's system attribute that holds the latest token.
TOKEN = "searchlab:turn"


class StaleTokenError(InfrastructureError):
    """Another driver has decided meanwhile. Nothing was written; the decision can be repeated."""


def claim_token(study_name: str, token: str) -> sqlalchemy.Executable:
    """Return PostgreSQL's statement that makes a token the latest.

    It returns a row, or none if there is no such study. It waits for the trial that an earlier
    decision is making, so whatever is read after it includes that trial.
    """
    attribute = models.StudySystemAttributeModel
    study = models.StudyModel
    values = (
        sqlalchemy.select(
            study.study_id,
            sqlalchemy.literal(TOKEN).label("key"),
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
    # The lock under which trials get their numbers and tokens are claimed.
    models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
    attribute = models.StudySystemAttributeModel
    found = (
        session.query(attribute.value_json)
        .filter(attribute.study_id == study_id, attribute.key == TOKEN)
        .scalar()
    )
    if found != json.dumps(token):
        raise StaleTokenError(
            "this driver lost the connection of its lock while it decided what to run next, and "
            "another driver has decided meanwhile"
        )
