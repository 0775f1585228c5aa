"""The files of a trial's checkpoints: data files with new names, listed in a manifest.

A data file never changes. The manifest is replaced in one step, and only then are files deleted
that it no longer names, so a process killed at any moment leaves the previous checkpoint. Nothing
is unpickled.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from searchlab.training.durable_files import replace_file, unique_word, write_bytes
from searchlab.training.failures import describe_failure
from searchlab.training.tensor_file import hash_file, write_tensors
from searchlab.training.trial_files import file_stem, model_path

__all__ = ["CheckpointFiles", "SavedState", "forget_checkpoints", "has_checkpoint", "model_path"]

logger = logging.getLogger(__name__)

_MANIFEST_FORMAT = 3


def has_checkpoint(folder: Path, number: int) -> bool:
    """Return whether trial ``number`` left a checkpoint in a folder."""
    return _manifest_path(folder, number).is_file()


def forget_checkpoints(folder: Path, number: int) -> None:
    """Remove everything an unfinished trial left, if there is anything.

    This includes the note that it ran out of memory, but not a finished model.
    """
    _manifest_path(folder, number).unlink(missing_ok=True)
    for path in folder.glob(f"{file_stem(number)}.*"):
        if path != model_path(folder, number):
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SavedState:
    """The content of one checkpoint."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One checkpoint as listed in the manifest."""

    file: str
    epoch: int
    size: int
    digest: str


class CheckpointFiles:
    """One trial's checkpoints in a folder: the newest and the one before.

    A process that is cut off from the driver may keep writing while another has taken over its
    trial. This does no harm: names are unique, a checkpoint of a later epoch stays, and no file
    that a manifest names is deleted.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number
        self._manifest = _manifest_path(folder, number)
        self._known_good: str | None = None  # the last file completely written or read here

    def save(self, epoch: int, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Write the state after ``epoch``. Raises OSError; then earlier checkpoints stay."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{file_stem(self._number)}.{epoch}-{unique_word()}.safetensors"
        with ExitStack() as undo:
            undo.callback(path.unlink, missing_ok=True)
            digest = write_tensors(path, tensors, metadata)
            size = path.stat().st_size
            entry = _Entry(file=path.name, epoch=epoch, size=size, digest=digest)
            old = self._read_manifest()
            entries = self._keep(entry, old)
            replace_file(self._manifest, lambda beside: _write_manifest(beside, entries))
            undo.pop_all()
        self._known_good = path.name
        self._delete_unnamed(old)

    def load(self, is_wanted: Callable[[Mapping[str, str]], bool]) -> SavedState | None:
        """Return the newest undamaged checkpoint whose metadata are accepted."""
        for entry in self._read_manifest():
            state = self._read(entry)
            if state is not None and is_wanted(state.metadata):
                self._known_good = entry.file
                return state
        return None

    def _keep(self, new: _Entry, old: list[_Entry]) -> list[_Entry]:
        """Return the manifest's next entries, the latest epoch first.

        The previous entry is the one this process knows to be complete. One of a later epoch is
        either damaged, and was skipped, or belongs to another process, and stays.
        """
        before = [entry for entry in old if entry.file == self._known_good] or old[:1]
        ahead = [entry for entry in old if entry.epoch > new.epoch][:1]
        return list(dict.fromkeys([*ahead, new, *before]))

    def _read_manifest(self) -> list[_Entry]:
        try:
            content = json.loads(self._manifest.read_bytes())
            if content["format"] != _MANIFEST_FORMAT:
                return []
            entries = [_Entry(**entry) for entry in content["checkpoints"]]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("%s is not a checkpoint manifest (%s)", self._manifest, error)
            return []
        # Names come from a file; none may lead out of the folder.
        return [entry for entry in entries if Path(entry.file).name == entry.file]

    def _read(self, entry: _Entry) -> SavedState | None:
        path = self._folder / entry.file
        try:
            if path.stat().st_size != entry.size or hash_file(path) != entry.digest:
                logger.warning("%s is damaged; using the checkpoint before it", path)
                return None
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return SavedState(tensors=tensors, metadata=file.metadata() or {})
        except (OSError, SafetensorError) as error:
            if describe_failure(error).kind == "oom":
                raise
            logger.warning("%s cannot be read (%s); using the one before it", path, error)
            return None

    def _delete_unnamed(self, old: list[_Entry]) -> None:
        """Delete files that the manifest no longer names, and those that killed processes left.

        The manifest is read again, because another process may have replaced it. A file of the same
        epoch as those it names may belong to another process, which will name it next.
        """
        entries = self._read_manifest()
        named = {entry.file for entry in entries}
        oldest = min((entry.epoch for entry in entries), default=0)
        unnamed = {entry.file for entry in old} - named
        prefix = f"{file_stem(self._number)}."
        for path in self._folder.glob(f"{prefix}*-*.safetensors"):
            epoch = path.name.removeprefix(prefix).partition("-")[0]
            if path.name in unnamed or (epoch.isdecimal() and int(epoch) < oldest):
                path.unlink(missing_ok=True)


def _write_manifest(path: Path, entries: list[_Entry]) -> None:
    content = {"format": _MANIFEST_FORMAT, "checkpoints": [asdict(entry) for entry in entries]}
    write_bytes(path, json.dumps(content).encode())


def _manifest_path(folder: Path, number: int) -> Path:
    return folder / f"{file_stem(number)}.json"
