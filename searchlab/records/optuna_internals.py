"""Every use of what Optuna keeps private, in one place, each with its reason.

``pyproject.toml`` pins the minor version of Optuna that these were tested with; the tests of this
module say which of them a new version has changed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optuna
import sqlalchemy
from optuna.samplers import GPSampler, NSGAIISampler
from optuna.storages import RDBStorage

# The tables: reading or copying thousands of trials by Optuna's calls takes minutes.
from optuna.storages._rdb import models

# Optuna's rollback and its translation of errors, for statements of our own.
from optuna.storages._rdb.storage import _create_scoped_session as create_scoped_session
from optuna.study import Study

# What BaseStorage.get_all_studies returns.
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, Trial
from sqlalchemy.orm import scoped_session, sessionmaker

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from optuna.storages import BaseStorage
    from optuna.trial import TrialState

__all__ = [
    "TABLES_VERSION",
    "AdaptedGPSampler",
    "DatabaseStorage",
    "FrozenStudy",
    "copy_trial",
    "create_scoped_session",
    "frozen_of",
    "generation_key",
    "known_params",
    "models",
    "reopen_trial",
    "show_only",
    "storage_of",
    "study_id_of",
    "trial_id_of",
    "write_system_attribute",
]


def storage_of(study: Study) -> BaseStorage:
    """Return the storage of a study: Optuna makes a study of a storage, but never gives it back."""
    return study._storage


def study_id_of(study: Study | FrozenStudy) -> int:
    """Return the key of a study in its storage, which all calls of a storage take."""
    return study._study_id


def trial_id_of(trial: Trial | FrozenTrial) -> int:
    """Return the key of a trial in its storage, which is not its number."""
    return trial._trial_id


def copy_trial(trial: FrozenTrial, *, trial_id: int) -> FrozenTrial:
    """Return a copy under another key, for a storage that shows trials of several others.

    Its attributes are those of the original until they are set anew; a storage's must not change.
    """
    copied = copy.copy(trial)
    copied._trial_id = trial_id
    return copied


def frozen_of(trial: Trial) -> FrozenTrial:
    """Return what a live trial knows of itself, without the copies that its properties make.

    It is as the storage holds it when the trial is made; suggesting and reporting add to it.
    """
    return trial._cached_frozen_trial


def reopen_trial(study: Study, number: int) -> Trial:
    """Return a running trial to go on with: Optuna makes one of its key, which it shows nobody."""
    storage = storage_of(study)
    return Trial(study, storage.get_trial_id_from_study_id_trial_number(study_id_of(study), number))


def write_system_attribute(study: Study, trial: Trial | FrozenTrial, key: str, value: Any) -> None:
    """Write a system attribute of a trial that has not ended.

    User attributes are shown by optuna-dashboard, every one of them; Optuna has deprecated its
    public way to write the others.
    """
    study._storage.set_trial_system_attr(trial._trial_id, key, value)


def known_params(trial: Trial | FrozenTrial) -> dict[str, Any]:
    """Return the parameters that a trial has, and those that it was enqueued with.

    Optuna shows the latter to nobody before they are suggested.
    """
    frozen = trial if isinstance(trial, FrozenTrial) else frozen_of(trial)
    return {**frozen.system_attrs.get("fixed_params", {}), **frozen.params}


def show_only(study: Study, trials: Sequence[FrozenTrial]) -> Study:
    """Return the study as a sampler of Optuna's would see it if it had these trials only.

    What the sampler writes goes to the study itself. Hyperband shows a sampler the trials of one
    bracket in the same way, and there is no public one.
    """
    return _ShownStudy(study, trials)


class _ShownStudy(Study):
    def __init__(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        # Study.__init__ would ask the storage for the study's name and directions again.
        self.study_name = study.study_name
        self.sampler = study.sampler
        self.pruner = study.pruner
        self._study_id = study._study_id
        self._storage = study._storage
        self._directions = study._directions
        self._thread_local = study._thread_local
        self._shown = trials

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]


def generation_key(sampler: NSGAIISampler) -> str:
    """Return the system attribute in which NSGA-II notes a trial's generation.

    Optuna puts a trial into the generation in which it was asked for; here it is another.
    """
    return sampler._get_generation_key()


class AdaptedGPSampler(GPSampler):
    """Optuna's Gaussian process sampler, with another search for the best point.

    ``search`` takes the acquisition function, which has ``eval_acqf_no_grad`` and ``search_space``,
    and returns the normalised parameters. Optuna lets a subclass choose it, without a promise.
    """

    def __init__(self, search: Callable[[Any], Any], *, seed: int) -> None:
        super().__init__(seed=seed, n_startup_trials=0)
        self._search = search

    def _optimize_acqf(self, acqf: Any, best_params: Any) -> Any:
        return self._search(acqf)


# The version of the tables, as Optuna notes it in ``alembic_version``.
TABLES_VERSION = "v3.2.0.a"


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
