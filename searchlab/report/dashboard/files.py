"""The files of runs for optuna-dashboard: those that are made when they are opened, and uploads."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from searchlab.errors import InputError
from searchlab.report.dashboard.artifacts import make_study_file, make_trial_file

if TYPE_CHECKING:
    from searchlab.report.dashboard.storage import RunsStorage

__all__ = ["RunFiles"]


class RunFiles:
    """An artifact store of Optuna's over the runs of a storage.

    A key of two or three numbers is a file that is made of the record; the others are uploads,
    which lie in the ``artifacts`` of a run's folder.
    """

    def __init__(self, storage: RunsStorage) -> None:
        self._storage = storage

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open a file. Raises ArtifactNotFound if there is none of this key."""
        numbers = [int(part or "0", 16) for part in artifact_id.split("-")]
        if len(numbers) not in (2, 3):
            return self._open_upload(artifact_id)
        slot, index = numbers[0], numbers[-1]
        try:
            reading = self._storage.find_run(slot).explain().reading
            text = (
                make_trial_file(reading, numbers[1], index)
                if len(numbers) == 3
                else make_study_file(reading, index)
            )
        except (KeyError, IndexError, InputError) as error:
            raise ArtifactNotFound(artifact_id) from error
        return io.BytesIO(text.encode("utf-8", errors="backslashreplace"))

    def _open_upload(self, artifact_id: str) -> BinaryIO:
        for uploads in self._list_uploads():
            try:
                return uploads.open_reader(artifact_id)
            except ArtifactNotFound:
                continue
        raise ArtifactNotFound(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keep an upload. There must be one run alone, because the key does not say which."""
        [run] = self._storage.list_runs()
        place = run.folder.path / "artifacts"
        place.mkdir(exist_ok=True)
        FileSystemArtifactStore(place).write(artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        """Remove an upload. Raises ArtifactNotFound if there is none of this key."""
        for uploads in self._list_uploads():
            uploads.remove(artifact_id)

    def _list_uploads(self) -> list[FileSystemArtifactStore]:
        runs = self._storage.list_runs()
        return [FileSystemArtifactStore(run.folder.path / "artifacts") for run in runs]
