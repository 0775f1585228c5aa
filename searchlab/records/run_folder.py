"""Run folders: ``runs/<study>/`` and their files."""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from searchlab.config.documents import dump_yaml, parse_yaml, read_yaml
from searchlab.config.loading import StudyFile, make_recorded_study
from searchlab.errors import InfrastructureError, InputError, did_you_mean
from searchlab.records.storage.opening import sqlite_url
from searchlab.records.storage.urls import hide_password

__all__ = ["RunFolder", "default_runs_dir", "find_run", "list_runs"]

logger = logging.getLogger(__name__)


def default_runs_dir(option: Path | None) -> Path:
    """Return the folder of all runs: the option, or SEARCHLAB_RUNS, or ./runs."""
    return option or Path(os.environ.get("SEARCHLAB_RUNS") or "runs")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one study, which writes no file outside it."""

    path: Path

    @property
    def study_file(self) -> Path:
        """Return the file of the study as it is run, with its space inline."""
        return self.path / "study.yaml"

    @property
    def database(self) -> Path:
        """Return the SQLite database of the embedded storage."""
        return self.path / "study.db"

    @property
    def lock_file(self) -> Path:
        """Return the file that the driver locks while it runs."""
        return self.path / ".lock"

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the unfinished trials, one file each."""
        return self.path / "checkpoints"

    @property
    def models(self) -> Path:
        """Return the folder of the trained baselines and finalists."""
        return self.path / "artifacts" / "models"

    @property
    def diagnostics(self) -> Path:
        """Return the folder of what was measured on the finished models."""
        return self.path / "artifacts" / "diagnostics"

    @property
    def trackers(self) -> Path:
        """Return the folder of what trackers keep here, a folder each."""
        return self.path / "trackers"

    def command(self, *words: str, options: Iterable[str] = ()) -> str:
        """Return a command of searchlab on this run, ready for the shell, with its shortest name.

        That is the run's own name in the default folder of runs, or else its path.
        """
        return shlex.join(["searchlab", *words, self._shortest_name(), *options])

    def _shortest_name(self) -> str:
        place, name = self.path.resolve(), self.path.name
        if not Path(name).exists() and (default_runs_dir(None) / name).resolve() == place:
            return name
        here = Path.cwd()
        return str(place.relative_to(here) if place.is_relative_to(here) else self.path)

    def exists(self) -> bool:
        """Return whether a study was begun here."""
        return self.study_file.is_file()

    @property
    def has_record(self) -> bool:
        """Return whether a database, or the name of a storage, is here."""
        return self.database.is_file() or self._storage_note.is_file()

    def check_new(self, remedy: str, *, may_be_there: bool = False) -> None:
        """Raise InputError if a study was begun here.

        Or if the folder exists at all, unless it ``may_be_there``. ``remedy`` ends the error.
        """
        is_there = self.path.exists() or self.path.is_symlink()
        if self.exists() or (is_there and not may_be_there):
            raise InputError("already exists", where=f"the run {self.path}", remedy=remedy)

    def load(self, overrides: Iterable[str] = (), *, plugins: Iterable[str] = ()) -> StudyFile:
        """Read the study as it is run, with the overrides and plugins of a resume.

        Raises InfrastructureError if the file is damaged, InputError if it describes no study.
        """
        try:
            document = read_yaml(self.study_file)
        except InputError as error:
            remedy = "delete it and run" if self.study_file.exists() else "run"
            raise InfrastructureError(
                f"{error}. Restore it, or {remedy} {self.command('study', 'resume')}, which "
                "writes it again from the study's record"
            ) from error
        return make_recorded_study(document, overrides, folder=self.path, plugins=plugins)

    def write(self, data: Mapping[str, object], storage_url: str | None = None) -> None:
        """Write the study, and the storage if it is not the embedded one, each file at once.

        Raises InputError if the study, with its space inline, is too large to be read again.
        """
        text = dump_yaml(data)
        parse_yaml(text, source=self.study_file.name)
        self.path.mkdir(parents=True, exist_ok=True)
        if storage_url is not None:
            self.note_storage(storage_url)
        _replace(self.study_file, text)

    def restore(self, data: Mapping[str, object], noted_storage: str | None) -> None:
        """Write again what ``write`` wrote, if somebody deleted it and left the folder."""
        if not self.lock_file.exists() and not self.database.exists():
            return  # the folder is gone, or another one
        if noted_storage is not None and not self._storage_note.exists():
            self.note_storage(noted_storage)
        if not self.study_file.exists():
            logger.warning("%s was deleted or moved away; writing it again", self.study_file)
            _replace(self.study_file, dump_yaml(data))

    @property
    def is_pending(self) -> bool:
        """Return whether a driver was about to make the study here, and had not made it yet."""
        return self._pending_mark.exists()

    def begin(self) -> None:
        """Note that the study is about to be made: without the note, a resume makes none."""
        self._pending_mark.touch()

    def note_made(self) -> None:
        """Note that the study is in its storage."""
        self._pending_mark.unlink(missing_ok=True)

    @property
    def _pending_mark(self) -> Path:
        return self.path / ".pending"

    def note_storage(self, storage_url: str) -> None:
        """Write which storage has the study from now on, without a password."""
        note = {"storage": hide_password(storage_url)}
        _replace(self._storage_note, json.dumps(note) + "\n")

    def discard(self) -> None:
        """Remove what ``write`` wrote."""
        self.study_file.unlink(missing_ok=True)
        self._storage_note.unlink(missing_ok=True)
        self.note_made()

    def is_embedded(self, option: str | None = None) -> bool:
        """Return whether the study is in the folder's own database."""
        return option is None and not self._storage_note.is_file()

    @property
    def noted_storage(self) -> str | None:
        """Return the storage as written, ``***`` for a password; None for the embedded one."""
        if not self._storage_note.is_file():
            return None
        try:
            storage = json.loads(self._storage_note.read_text(encoding="utf-8"))["storage"]
        except (OSError, ValueError, KeyError, TypeError):
            storage = None
        if isinstance(storage, str) and "://" in storage:
            return storage
        example = json.dumps({"storage": "postgresql://me@host/studies"})
        raise InfrastructureError(
            f"{self._storage_note}, which names the storage of the study, is damaged. Write the "
            f"storage's URL into it, as in {example}"
        )

    @property
    def _storage_note(self) -> Path:
        return self.path / "storage.json"

    def storage_url(self, option: str | None = None) -> str:
        """Return the storage's URL: the option, or the one written last, or the embedded one.

        Raises InputError if the storage needs a password, which is never written.
        """
        if option is not None:
            return option
        url = self.noted_storage
        if url is None:
            return sqlite_url(self.database)
        if "***" in url:
            raise InputError(
                f"has its study in {url}, whose password was not saved",
                where=str(self.path),
                remedy="Give the full URL with --storage or SEARCHLAB_STORAGE",
            )
        return url


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.tmp")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        with suppress(OSError):  # the folder may be gone, or not be written any more
            beside.unlink(missing_ok=True)


def find_run(text: str, runs_dir: Path) -> RunFolder:
    """Return the run of a path, or of a name under ``runs_dir``.

    Raises InputError, or InfrastructureError if the place cannot be read.
    """
    runs = [RunFolder(path) for path in (Path(text), runs_dir / text)]
    try:
        # One that lost its study.yaml is found too: a resume writes it again.
        found = [run for run in runs if run.exists()] or [run for run in runs if run.has_record]
    except OSError as error:
        raise InfrastructureError(f"{error.filename} cannot be read: {error.strerror}") from error
    if found:
        return found[0]
    names = [run.path.name for run in list_runs(runs_dir)]
    hint = did_you_mean(Path(text).name, names) if names else f"{runs_dir}/ has no runs yet"
    raise InputError("is not a run folder (no study.yaml)", where=text, remedy=hint)


def list_runs(runs_dir: Path) -> list[RunFolder]:
    """Return the runs in a folder, the latest first."""
    if not runs_dir.is_dir():
        return []
    runs = [RunFolder(path) for path in runs_dir.iterdir() if RunFolder(path).exists()]
    return sorted(runs, key=lambda run: run.study_file.stat().st_mtime, reverse=True)
