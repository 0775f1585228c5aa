"""Reading a recorded study back. Nothing here writes to a storage."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.errors import InputError
from searchlab.records.locks.study_lock import is_driven
from searchlab.records.recorded_spec import check_unchanged
from searchlab.records.storage.sqlite_reading import ReadStudy, read_sqlite_study
from searchlab.records.storage.urls import find_sqlite_file, hide_password, normalise
from searchlab.records.trial_record import EVALUATIONS, HOSTS_LOST, PROGRESS, SPEC, TrialRecord

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from searchlab.config.study import StudySpec
    from searchlab.config.trial import Role
    from searchlab.records.run_folder import RunFolder
    from searchlab.records.storage.retrying_storage import RetryingStorage

__all__ = ["StudyReader", "StudyReading", "read_study"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReading:
    """A study as recorded: its file, and every trial so far by number.

    ``totals`` are the planned trials by role; empty if no driver has recorded them.
    ``evaluations`` holds the figures of ensembles and of neurons' correlations, by name.
    ``trials`` are what ``records`` were read from, in the same order. ``attributes`` are the
    study's own, as Optuna's user attributes.
    """

    run: RunFolder
    spec: StudySpec
    storage_url: str
    records: list[TrialRecord]
    is_driven: bool
    is_finished: bool
    totals: dict[Role, int]
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)
    hosts_lost: tuple[str, ...] = ()
    trials: list[FrozenTrial] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The study's objectives, the first of them first."""
        return tuple(objective.metric for objective in self.spec.objective)

    def find_trial(self, number: int) -> TrialRecord:
        """Return the record of a trial. Raises InputError if the study has none of this number."""
        for record in self.records:
            if record.number == number:
                return record
        raise InputError(
            f"must be a trial of {self.spec.name}",
            where="trial number",
            found=number,
            remedy=f"It has trials 0 to {len(self.records) - 1}"
            if self.records
            else "It has no trials yet",
        )


def read_study(run: RunFolder, storage_option: str | None) -> StudyReading:
    """Read a run's study from its storage. Raises as ``StudyReader.find``."""
    return StudyReader(run, storage_option).read()


class StudyReader:
    """Reads a run's study again and again: what has ended is read from its storage once.

    Several threads may use it.
    """

    def __init__(self, run: RunFolder, storage_option: str | None) -> None:
        self.run = run
        self._option = storage_option
        self._opened: RetryingStorage | None = None
        self._loaded: tuple[int, StudySpec] | None = None  # with the time of its file

    @property
    def storage(self) -> RetryingStorage:
        """The run's storage, which ``find`` opens."""
        assert self._opened is not None
        return self._opened

    def find(self) -> tuple[StudySpec, Study]:
        """Return the study's specification and the study, without reading its trials.

        Raises InputError if the storage does not hold the study, or recorded another one than the
        run folder's file describes, and as ``open_run_storage``. Nothing is created in any case.
        """
        import optuna

        from searchlab.records.recorded_run import open_run_storage

        spec = self._load()
        url = self._url()
        if self._opened is None:
            if _is_without_tables(url):
                raise _missing_study(spec.name, url)
            self._opened = open_run_storage(self.run, url, is_named=self._option is not None)
        try:
            study = optuna.load_study(study_name=spec.name, storage=self._opened)
        except KeyError:
            raise _missing_study(spec.name, url) from None
        check_unchanged(study.user_attrs.get(SPEC), spec, self.run.study_file)
        return spec, study

    def read(self) -> StudyReading:
        """Return the study as it is now. Raises as ``find``."""
        spec, url = self._load(), self._url()
        driven, study = self._read_file(spec, url) or self._read_storage(url)
        progress = study.attributes.get(PROGRESS, {})
        return StudyReading(
            run=self.run,
            spec=spec,
            storage_url=url,
            records=[TrialRecord.from_trial(trial) for trial in study.trials],
            is_driven=driven,
            is_finished=bool(progress.get("finished")),
            totals=progress.get("totals", {}),
            evaluations=study.attributes.get(EVALUATIONS, {}),
            hosts_lost=tuple(study.attributes.get(HOSTS_LOST, ())),
            trials=study.trials,
            attributes=study.attributes,
        )

    # Both ask for the driver before the trials: one that ends in between has written them all.

    def _read_file(self, spec: StudySpec, url: str) -> tuple[bool, ReadStudy] | None:
        """Read without opening the storage, once; None if it must be opened."""
        path = find_sqlite_file(url)
        if self._opened is not None or path is None:
            return None
        driven = is_driven(url, spec.name, lock_file=self.run.lock_file)
        study = read_sqlite_study(path, spec.name)
        if study is None:
            return None
        check_unchanged(study.attributes.get(SPEC), spec, self.run.study_file)
        return driven, study

    def _read_storage(self, url: str) -> tuple[bool, ReadStudy]:
        spec, study = self.find()
        driven = is_driven(url, spec.name, lock_file=self.run.lock_file)
        trials = study.get_trials(deepcopy=False)
        return driven, ReadStudy(attributes=study.user_attrs, trials=trials)

    def _load(self) -> StudySpec:
        file = self.run.study_file
        written = file.stat().st_mtime_ns if file.exists() else 0
        if self._loaded is None or self._loaded[0] != written:
            self._loaded = written, self.run.load().spec
        return self._loaded[1]

    def _url(self) -> str:
        return normalise(self.run.storage_url(self._option))


def _missing_study(name: str, url: str) -> InputError:
    return InputError(
        f"holds no study named {name}",
        where=hide_password(url),
        remedy="Give the storage that it was run with by --storage, or run it first",
    )


def _is_without_tables(url: str) -> bool:
    """Return whether opening the storage would create its tables, or the SQLite file itself."""
    import sqlalchemy
    import sqlalchemy.exc

    try:
        address = sqlalchemy.make_url(url)
        if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
            return True
        engine = sqlalchemy.create_engine(address)
        try:
            return not sqlalchemy.inspect(engine).has_table("studies")
        finally:
            engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError, ValueError, ImportError):
        return False  # open_storage says what is wrong with it
