"""A run that carries on in another storage, to which its study was copied.

From then on its folder names that storage, and the database in the folder is set aside, because a
study that goes on in two storages is two studies.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from searchlab.errors import InfrastructureError, InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.storage.urls import find_sqlite_file, hide_password
from searchlab.transfer.contents import is_same_end
from searchlab.transfer.copying import list_studies

__all__ = ["SET_ASIDE", "Relocation", "plan_relocation"]

logger = logging.getLogger(__name__)

SET_ASIDE = "study.db.moved"
_COMPANIONS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocation:
    """What changes in a run's folder once its study has been opened in ``url``."""

    run: RunFolder
    url: str
    sets_aside: bool

    def carry_out(self) -> None:
        """Note the storage, and rename the folder's own database; nothing is deleted.

        Call it while the run is held; if it was cut off, the next call finishes it. Raises
        InfrastructureError if the folder cannot be written.
        """
        try:
            # The note first: without it and without a database the study would start again.
            if self.run.noted_storage != hide_password(self.url):
                self.run.note_storage(self.url)
            if self.sets_aside:
                kept = _set_aside(self.run.database)
                message = "From now on %s is recorded in %s; its %s is kept as %s"
                where = hide_password(self.url)
                logger.warning(message, self.run.path, where, self.run.database.name, kept.name)
        except OSError as error:
            raise InfrastructureError(
                f"the run folder {self.run.path} cannot be written: {error.strerror}"
            ) from error


def plan_relocation(
    run: RunFolder, name: str, storage: BaseStorage, option: str | None
) -> Relocation | None:
    """Return what opening the study in ``option``, else in the storage noted, changes.

    ``storage`` is the one opened, and held. None if the study stays where it is, or is not there.
    Raises InputError if the study of that name lacks a trial that finished in the folder's own
    database: it is an older copy, or another study.
    """
    url = option or run.noted_storage
    if url is None or _is_file(url, run.database) or name not in list_studies(storage):
        return None
    if not run.database.is_file():
        # A storage noted before may be reached by another address for once.
        is_new = run.noted_storage is None
        return Relocation(run=run, url=url, sets_aside=False) if is_new else None
    with closing(open_storage(sqlite_url(run.database))) as own:
        names = {*list_studies(own)}
        if name in names:
            _check_whole(run, name, storage, own, url)
    # Another run may be recorded in this one's database; then it stays.
    return Relocation(run=run, url=url, sets_aside=names <= {name})


def _is_file(url: str, path: Path) -> bool:
    named = find_sqlite_file(url)
    if named is None or not named.is_file() or not path.is_file():
        return False
    return named.samefile(path)


def _check_whole(
    run: RunFolder, name: str, storage: BaseStorage, own: BaseStorage, url: str
) -> None:
    finished = [trial for trial in _read_trials(own, name) if trial.state.is_finished()]
    there = {trial.number: trial for trial in _read_trials(storage, name)}
    kept = [one for one in finished if one.number in there and is_same_end(one, there[one.number])]
    if len(kept) < len(finished):
        raise InputError(
            f"lacks {len(finished) - len(kept)} of the {len(finished)} trials that finished in "
            f"{run.database}: it is an older copy, or another study",
            where=f"the study {name} in {hide_password(url)}",
            remedy="Leave --storage out and unset SEARCHLAB_STORAGE to carry on in the folder; or "
            "copy the run to another storage, and resume it there; or, to go on with what is "
            f"there, rename {run.database.name} first",
        )


def _read_trials(storage: BaseStorage, name: str) -> list[FrozenTrial]:
    study_id = storage.get_study_id_from_name(name)
    return storage.get_all_trials(study_id, deepcopy=False)


def _set_aside(database: Path) -> Path:
    """Rename a database, with what SQLite keeps beside it, to a name that is free."""
    with closing(sqlite3.connect(database)) as connection, suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint")  # so that the one file is all of it
    names = (SET_ASIDE if n == 1 else f"{SET_ASIDE}-{n}" for n in itertools.count(1))
    kept = next(path for path in map(database.with_name, names) if not path.exists())
    database.rename(kept)
    for suffix in _COMPANIONS:
        with suppress(FileNotFoundError):
            database.with_name(database.name + suffix).rename(f"{kept}{suffix}")
    return kept
