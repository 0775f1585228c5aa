"""Every use of what Optuna keeps private of its databases, each with its reason.

As ``optuna_internals.py``, which needs no SQLAlchemy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage

# The tables: reading or copying thousands of trials by Optuna's calls takes minutes.
from optuna.storages._rdb import models

# Optuna's rollback and its translation of errors, for statements of our own.
from optuna.storages._rdb.storage import _create_scoped_session as create_scoped_session
from sqlalchemy.orm import scoped_session, sessionmaker

from searchlab.records.optuna_internals import TABLES_VERSION

if TYPE_CHECKING:
    from collections.abc import Container

    from optuna.trial import FrozenTrial, TrialState

__all__ = ["DatabaseStorage", "create_scoped_session", "models"]


def _has_tested_tables(engine: sqlalchemy.Engine) -> bool:
    """Return whether a database's tables are of that version; one without any gets them."""
    names = sqlalchemy.inspect(engine).get_table_names()
    if not names and engine.dialect.name == "sqlite":
        _make_tables(engine)
        return True
    if "alembic_version" not in names:
        return False
    with engine.connect() as connection:
        versions = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version"))
        return versions.scalars().all() == [TABLES_VERSION]


def _make_tables(engine: sqlalchemy.Engine) -> None:
    """Make what Optuna makes in a new database, whatever another driver makes at the same time."""
    models.BaseModel.metadata.create_all(engine)
    alembic = sqlalchemy.Table(
        "alembic_version",
        sqlalchemy.MetaData(),
        sqlalchemy.Column("version_num", sqlalchemy.String(32), nullable=False),
        sqlalchemy.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
    )
    alembic.create(engine, checkfirst=True)
    version = {"schema_version": models.SCHEMA_VERSION, "library_version": optuna.__version__}
    with engine.begin() as connection:
        for table, row in (
            (models.VersionInfoModel.__table__, version),
            (alembic, {"version_num": TABLES_VERSION}),
        ):
            connection.execute(sqlalchemy.insert(table).prefix_with("OR IGNORE").values(row))


class DatabaseStorage(RDBStorage):
    """Optuna's database storage, with the parts that ours replaces or calls under public names.

    A subclass replaces ``create_trial``, ``read_trials`` and ``write_param``: Optuna's cache over a
    database calls the private methods, not those of the storage's interface.
    """

    def __init__(self, url: str, engine_kwargs: dict[str, Any] | None = None) -> None:
        """Open a database, and make its tables if it has none.

        Optuna asks alembic whether the tables are of its version, and that takes longer to import
        than the rest of what a command needs to read a study. So tables of the version that was
        tested are opened without it, and those of SQLite made.
        """
        options = engine_kwargs or {}
        self._set_default_engine_kwargs_for_mysql(url, options)
        engine = sqlalchemy.create_engine(url, **options)
        if not _has_tested_tables(engine):
            engine.dispose()
            super().__init__(url, options)
            return
        self.url, self.engine_kwargs, self.skip_compatibility_check = url, options, False
        self.heartbeat_interval = self.grace_period = None
        self.heartbeat_stale_trial_callback = self.failed_trial_callback = None
        self.engine = engine
        self.scoped_session = scoped_session(sessionmaker(bind=engine))

    # Writes a trial's rows in an open session, and gives the trial its number.
    add_trial_rows = RDBStorage._get_prepared_new_trial
    # Makes a FrozenTrial of those rows.
    build_trial = RDBStorage._build_frozen_trial_from_trial_model
    # Writes an attribute in an open session, in one transaction with other writes.
    add_trial_attribute = RDBStorage._set_trial_attr_without_commit
    create_trial = RDBStorage._create_new_trial
    read_trials = RDBStorage._get_trials
    write_param = RDBStorage._set_trial_param

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        return self.create_trial(study_id, template_trial)

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        return self.read_trials(study_id, states, included_trial_ids, trial_id_greater_than)

    def _set_trial_param(self, *values: Any, **named: Any) -> None:
        self.write_param(*values, **named)

    @staticmethod
    def _fill_storage_url_template(template: str) -> str:
        return template  # Optuna would format it, and a password may hold braces
