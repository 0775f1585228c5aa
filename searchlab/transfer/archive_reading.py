"""Import: a run made from an exported file, which anybody may have written.

Nothing in it is run or unpickled. Its trials are read whole and then written in one transaction,
its study file is checked like any other, and the run folder appears only once it is complete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import stat
import tempfile
import zipfile
import zlib
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

from searchlab.config.documents import read_yaml
from searchlab.config.earlier_study import name_earlier_defaults
from searchlab.config.loading import make_study
from searchlab.config.named_code import list_references
from searchlab.config.study import CallableRef, StudySpec
from searchlab.config.validation import Slug, to_input_error
from searchlab.errors import InfrastructureError, InputError
from searchlab.records.recorded_spec import list_differences, shared_part
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.faults import STORAGE_ERRORS, classify, describe_cause
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.storage.row_storage import RowStorage
from searchlab.records.storage.urls import hide_password
from searchlab.records.trial_record import SPEC
from searchlab.transfer.archive import (
    CHUNK_BYTES,
    DATABASE,
    FORMAT,
    MANIFEST,
    STUDY_FILE,
    ArchivedFile,
    Manifest,
    is_artifact_name,
    pack_database,
)
from searchlab.transfer.contents import StudyContents, read_contents
from searchlab.transfer.copying import (
    CopyProgress,
    StudyCopy,
    list_studies,
    refuse_existing,
    write_study,
)
from searchlab.transfer.record_check import check_record

if TYPE_CHECKING:
    from searchlab.records.storage.retrying_storage import RetryingStorage

__all__ = ["DEFAULT_MOST_BYTES", "ImportedStudy", "import_study"]

DEFAULT_MOST_BYTES = 50 * 2**30
_MAX_MEMBERS = 10_000
_MAX_TEXT_BYTES = 8 * 2**20  # of the manifest and of the study
# A database of trials shrinks 5 to 20 times; what shrinks a thousand times holds nothing.
_MAX_RATIO = 200
_FREE_RATIO_BYTES = 2**20

# What rows that Optuna never wrote lead to, or that another version of Optuna wrote.
_FORGERIES = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
)

_REMEDY = "Import under another --name"
_SLUG = pydantic.TypeAdapter[str](Slug)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedStudy:
    """The run that was made, and what its storage got."""

    run: RunFolder
    copy: StudyCopy
    num_artifacts: int


def import_study(
    path: Path,
    runs_dir: Path,
    *,
    new_name: str | None = None,
    storage_url: str | None = None,
    allow_code: bool = False,
    most_bytes: int = DEFAULT_MOST_BYTES,
    on_progress: CopyProgress | None = None,
) -> ImportedStudy:
    """Make ``runs_dir/<name>/`` from an exported file; its trials go to ``storage_url`` if given.

    Raises InputError, with nothing left behind, if the file is damaged or not an export, holds
    more than ``most_bytes`` or what searchlab does not record, names Python code and ``allow_code``
    is not set, or if the run or the study is there already.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _read_manifest(archive, path, most_bytes)
            name = _check_slug(new_name) if new_name is not None else manifest.study
            run = RunFolder(runs_dir / name)
            run.check_new(_REMEDY)
            runs_dir.mkdir(parents=True, exist_ok=True)
            _check_room(runs_dir, manifest, path)
            with tempfile.TemporaryDirectory(prefix=".importing-", dir=runs_dir) as folder:
                inside = _Unpacked(folder=Path(folder), manifest=manifest, archive=path)
                _extract(archive, inside)
                spec = _read_study(inside, name)
                if not allow_code:
                    _refuse_code(spec, inside)
                copied = _fill(inside, spec, storage_url, on_progress)
                run.check_new(_REMEDY)
                inside.run.path.replace(run.path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(f"is not an export, or is damaged ({error})", where=str(path)) from error
    except OSError as error:
        where = str(error.filename or path)
        raise InputError(f"cannot be used: {error.strerror or error}", where=where) from error
    artifacts = sum(map(is_artifact_name, manifest.members))
    return ImportedStudy(run=run, copy=copied, num_artifacts=artifacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unpacked:
    """A folder beside the runs in which an import is put together."""

    folder: Path
    manifest: Manifest
    archive: Path

    @property
    def run(self) -> RunFolder:
        """The run to be; one level down, so that nobody takes it for a run yet."""
        return RunFolder(self.folder / "run")

    @property
    def database(self) -> Path:
        """The database as the archive has it."""
        return self.folder / "archived.db"

    @property
    def database_place(self) -> str:
        """Where errors say that the database is."""
        return f"{self.archive}: {DATABASE}"

    def place(self, name: str) -> Path:
        return self.database if name == DATABASE else self.run.path / name


def _check_slug(name: str) -> str:
    try:
        return _SLUG.validate_python(name)
    except pydantic.ValidationError as error:
        raise to_input_error(error.errors()[0]).at("--name") from None


def _check_room(runs_dir: Path, manifest: Manifest, path: Path) -> None:
    needed = sum(member.size for member in manifest.members.values())
    needed += 2 * manifest.members[DATABASE].size  # written again, and packed
    free = shutil.disk_usage(runs_dir).free
    if needed > free:
        raise InputError(
            f"needs {needed:,} bytes in {runs_dir}/, of which {free:,} are free", where=str(path)
        )


# Checks of the zip's table


def _read_manifest(archive: zipfile.ZipFile, path: Path, most_bytes: int) -> Manifest:
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise InputError(f"may hold {_MAX_MEMBERS:,} files at most", where=str(path))
    for info in infos:
        _check_member(info, path)
    if len({info.filename for info in infos}) != len(infos):
        raise InputError("holds two files of one name", where=str(path))
    total = sum(info.file_size for info in infos)
    if total > most_bytes:
        raise InputError(
            f"may unpack to {most_bytes:,} bytes at most", where=str(path), found=total
        )
    try:
        data = json.loads(archive.read(MANIFEST))
        if isinstance(data, dict) and data.get("format") != FORMAT:
            raise InputError(
                f"must be of format {FORMAT}",
                where=str(path),
                found=data.get("format"),
                remedy="It was written by another version of searchlab",
            )
        manifest = Manifest.model_validate(data)
    except InputError:
        raise
    except (KeyError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"has no usable manifest ({reason})", where=str(path)) from None
    _check_listing(infos, manifest, path)
    return manifest


def _check_member(info: zipfile.ZipInfo, path: Path) -> None:
    name, mode = info.filename, info.external_attr >> 16
    if name not in (MANIFEST, STUDY_FILE, DATABASE) and not is_artifact_name(name):
        raise InputError("holds a file that no export has", where=str(path), found=name)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise InputError("holds something that is not a plain file", where=str(path), found=name)
    if info.flag_bits & 1:
        raise InputError("must not be encrypted", where=str(path), found=name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError("is compressed in a way that no export is", where=str(path), found=name)
    if name in (MANIFEST, STUDY_FILE) and info.file_size > _MAX_TEXT_BYTES:
        raise InputError(f"may be {_MAX_TEXT_BYTES:,} bytes at most", where=f"{path}: {name}")
    if info.file_size > max(_FREE_RATIO_BYTES, _MAX_RATIO * info.compress_size):
        raise InputError("unpacks to an implausible size", where=f"{path}: {name}")


def _check_listing(infos: list[zipfile.ZipInfo], manifest: Manifest, path: Path) -> None:
    sizes = {info.filename: info.file_size for info in infos if info.filename != MANIFEST}
    if sizes != {name: member.size for name, member in manifest.members.items()}:
        raise InputError("does not hold the files that its manifest lists", where=str(path))
    for name in (STUDY_FILE, DATABASE):
        if name not in sizes:
            raise InputError(f"holds no {name}", where=str(path))


# Its members


def _extract(archive: zipfile.ZipFile, inside: _Unpacked) -> None:
    for name, member in inside.manifest.members.items():
        target = inside.place(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, target.open("xb") as file:
            digest, size = hashlib.sha256(), 0
            while chunk := source.read(CHUNK_BYTES):
                size += len(chunk)
                if size > member.size:
                    break
                digest.update(chunk)
                file.write(chunk)
        if ArchivedFile(size=size, sha256=digest.hexdigest()) != member:
            raise InputError(
                "is damaged: its digest is not the manifest's", where=f"{inside.archive}: {name}"
            )


def _read_study(inside: _Unpacked, name: str) -> StudySpec:
    file = inside.run.study_file
    try:
        # Named as in the archive: the folder is gone by the time that anyone could look.
        document = read_yaml(file, source=STUDY_FILE)
        if str(document.data.get("space")).endswith((".yaml", ".yml")):
            raise InputError("must be inline", where=document.where(("space",)))
        data = name_earlier_defaults(document.data)
        for own in ("trackers", "on_end"):  # nobody else says who is told of what is trained here
            data.pop(own, None)
        document = replace(document, data=data)
        found = make_study(document, folder=file.parent).spec.name
        if found != inside.manifest.study:
            raise InputError("must be the manifest's study", where="name", found=found)
        return make_study(document, [f"name={name}"], folder=file.parent).spec
    except InputError as error:
        raise InputError(f"cannot be used: {error}", where=str(inside.archive)) from None


def _refuse_code(spec: StudySpec, inside: _Unpacked) -> None:
    """Ask before a study is taken over that would run somebody's choice of code here."""
    space = (spec.space.root,) if isinstance(spec.space, CallableRef) else ()
    if code := (*spec.plugins, *space, *list_references(spec)):
        # A relative path was taken for one in the folder that is gone by then.
        folder = f"{inside.run.path.absolute()}/"
        named = ", ".join(name.removeprefix(folder) for name in code)
        raise InputError(
            f"names Python code, which runs when the study goes on: {named}",
            where=str(inside.archive),
            remedy="Look at that code first; then import the study with --allow-code",
        )


def _fill(
    inside: _Unpacked,
    spec: StudySpec,
    storage_url: str | None,
    on_progress: CopyProgress | None,
) -> StudyCopy:
    """Write the study's file, and its trials under the name that it has from now on."""
    contents = _read_trials(inside, spec)
    inside.run.write(spec.to_data(), storage_url)
    if storage_url is not None:
        target = open_storage(storage_url)
        refuse_existing(target, spec.name)
        where = hide_password(storage_url)
        return _write_trials(inside, spec.name, contents, target, where, on_progress)
    path = inside.folder / "own.db"
    own = open_storage(sqlite_url(path))
    where = str(inside.folder.parent)
    copied = _write_trials(inside, spec.name, contents, own, where, on_progress)
    pack_database(path, inside.run.database)
    return copied


def _read_trials(inside: _Unpacked, spec: StudySpec) -> StudyContents:
    """Return the archive's study, whole, once it is checked. Raises InputError."""
    _check_database(inside)
    name = inside.manifest.study
    try:
        # Not by open_storage, which would name the address of a file that is gone by then.
        source = RowStorage(sqlite_url(inside.database))
        if list_studies(source) != [name]:
            raise InputError("must hold the manifest's study and no other")
        contents = read_contents(source, name)
    except InputError as error:
        raise error.at(inside.database_place) from None
    except STORAGE_ERRORS as error:
        raise _unreadable(inside, describe_cause(error)) from None
    except RecursionError:
        raise _unreadable(inside, "an attribute is nested too deeply") from None
    except _FORGERIES as error:
        raise _unreadable(inside, f"{type(error).__name__}: {error}") from None
    try:
        check_record(contents, spec)
        _settle_spec(contents, spec)
    except InputError as error:
        raise InputError(f"cannot be used: {error}", where=inside.database_place) from None
    return contents


def _settle_spec(contents: StudyContents, spec: StudySpec) -> None:
    """Make the study's file the record, because it was checked. Raises InputError if they differ.

    A run that loses its file gets it from the record, code that it names included.
    """
    recorded = contents.user_attrs.get(SPEC)
    if differing := list_differences(recorded, spec):
        raise InputError(f"must record the study of {STUDY_FILE}:\n{differing}")
    if recorded is not None:
        contents.user_attrs[SPEC] = json.dumps(shared_part(spec))


def _write_trials(
    inside: _Unpacked,
    name: str,
    contents: StudyContents,
    target: RetryingStorage,
    where: str,
    on_progress: CopyProgress | None,
) -> StudyCopy:
    """Write the study into the storage at ``where``, whole or not at all.

    Raises InputError if the archive is to blame, InfrastructureError if the target is.
    """
    try:
        return write_study(target, name, contents, on_progress=on_progress)
    except InputError:
        raise
    except STORAGE_ERRORS as error:
        reason = describe_cause(error)
        if classify(error) is not None:
            raise InfrastructureError(f"{where} cannot be written: {reason}") from None
        # The target refused what was to be written, such as a name that is too long for it.
        raise _unreadable(inside, reason) from None
    except _FORGERIES as error:
        raise _unreadable(inside, f"{type(error).__name__}: {error}") from None


def _check_database(inside: _Unpacked) -> None:
    """Refuse what can do more than hold rows: views and triggers run when a table is used."""
    try:
        uri = f"{inside.database.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            rows = connection.execute("SELECT type, sql FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        raise _unreadable(inside, str(error)) from None
    for kind, sql in rows:
        if kind not in ("table", "index") or "VIRTUAL" in (sql or "").upper():
            raise _unreadable(inside, f"it has a {kind} that Optuna never makes")


def _unreadable(inside: _Unpacked, reason: str) -> InputError:
    return InputError(f"cannot be read: {reason.splitlines()[0]}", where=inside.database_place)
