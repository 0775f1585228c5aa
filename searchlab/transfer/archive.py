"""Export: a run written into a single file, without what only its machine needs.

The file is a zip: ``manifest.json``, ``study.yaml``, ``study.db`` (the trials, as SQLite, whatever
storage they come from) and the models. Checkpoints stay behind: a trial that is RUNNING in the
file starts again when its study is resumed.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Literal

from optuna.storages import BaseStorage
from pydantic import BaseModel, ConfigDict, Field

from searchlab.config.validation import Slug
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.transfer.copying import CopyProgress, StudyCopy, copy_study

__all__ = [
    "CHUNK_BYTES",
    "DATABASE",
    "FORMAT",
    "MANIFEST",
    "STUDY_FILE",
    "ArchivedFile",
    "ArchivedStudy",
    "Manifest",
    "export_study",
    "is_artifact_name",
    "pack_database",
]

FORMAT: Final = 1
MANIFEST = "manifest.json"
STUDY_FILE = "study.yaml"
DATABASE = "study.db"
CHUNK_BYTES = 2**20

# No artifact has a name that anyone would run or import.
_ARTIFACT = re.compile(
    r"artifacts/([A-Za-z0-9][A-Za-z0-9_-]{0,63}/){0,3}"
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}(\.(safetensors|json|png|jpg|svg|csv))?"
)


class ArchivedFile(BaseModel):
    """A file of the archive, as it must be found there."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What an archive holds. It is validated, because anybody may have written it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1]
    searchlab: str
    study: Slug
    exported_at: str
    trials: dict[str, int]  # by state
    members: dict[str, ArchivedFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedStudy:
    """What was exported; ``left_out`` are files among the artifacts that are not models."""

    copy: StudyCopy
    num_artifacts: int
    num_bytes: int
    left_out: tuple[Path, ...]


def export_study(
    run: RunFolder, storage: BaseStorage, path: Path, *, on_progress: CopyProgress | None = None
) -> ArchivedStudy:
    """Write a run into the file ``path``, which is replaced whole; the run may be going on.

    Raises InputError if the storage does not hold the study or the file cannot be written.
    """
    name = run.load().spec.name
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as text:
            folder = Path(text)
            copied = copy_study(
                storage, open_storage(sqlite_url(folder / "copy.db")), name, on_progress=on_progress
            )
            pack_database(folder / "copy.db", folder / DATABASE)
            # Models after trials: each is saved before its trial ends, so none is missing.
            artifacts, left_out = _find_artifacts(run)
            files = {STUDY_FILE: run.study_file, DATABASE: folder / DATABASE, **artifacts}
            _write_archive(folder / "archive.zip", files, copied)
            num_bytes = (folder / "archive.zip").stat().st_size
            (folder / "archive.zip").replace(path)
    except OSError as error:
        raise InputError(
            f"cannot be written: {error.strerror or error}", where=str(path)
        ) from error
    return ArchivedStudy(
        copy=copied,
        num_artifacts=len(artifacts),
        num_bytes=num_bytes,
        left_out=tuple(left_out),
    )


def is_artifact_name(name: str) -> bool:
    """Return whether a member may have that name: below ``artifacts/``, plain, no code."""
    return _ARTIFACT.fullmatch(name) is not None


def pack_database(source: Path, target: Path) -> None:
    """Write an SQLite database, which may be open, into one file without a journal."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))


def _find_artifacts(run: RunFolder) -> tuple[dict[str, Path], list[Path]]:
    """Return the artifacts by member name, and the other files. Links are left out."""
    found: dict[str, Path] = {}
    left_out: list[Path] = []
    for path in _walk(run.path / "artifacts"):
        name = path.relative_to(run.path).as_posix()
        if not path.is_symlink() and is_artifact_name(name):
            found[name] = path
        elif path.suffix != ".tmp":  # a model that is being written
            left_out.append(path)
    return found, left_out


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names))


def _write_archive(path: Path, files: dict[str, Path], copied: StudyCopy) -> None:
    from searchlab.version import __version__

    with path.open("wb") as raw, zipfile.ZipFile(raw, "w") as archive:
        manifest = Manifest(
            format=FORMAT,
            searchlab=__version__,
            study=copied.study,
            exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            trials=copied.states,
            members={name: _add(archive, name, source) for name, source in files.items()},
        )
        text = manifest.model_dump_json(indent=2) + "\n"
        archive.writestr(MANIFEST, text, compress_type=zipfile.ZIP_DEFLATED)
        archive.close()
        raw.flush()
        os.fsync(raw.fileno())


def _add(archive: zipfile.ZipFile, name: str, source: Path) -> ArchivedFile:
    info = zipfile.ZipInfo.from_file(source, name, strict_timestamps=False)
    # Weights hardly shrink.
    is_weights = source.suffix == ".safetensors"
    info.compress_type = zipfile.ZIP_STORED if is_weights else zipfile.ZIP_DEFLATED
    with source.open("rb") as file, archive.open(info, "w") as member:
        digest, size = hashlib.sha256(), 0
        for chunk in _chunks(file):
            member.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return ArchivedFile(size=size, sha256=digest.hexdigest())


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
