"""Watching over a run while its trials train: whether its folder and its study are still there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchlab.engine.stopping import StopRequest
from searchlab.errors import InfrastructureError
from searchlab.records.storage.database_file import identify
from searchlab.records.storage.retrying_storage import RetryingStorage

__all__ = ["watch_run"]

logger = logging.getLogger(__name__)

# An epoch, after which the driver writes, may take minutes.
_LOOK_SECONDS = 1.0


@contextmanager
def watch_run(folder: Path, storage: RetryingStorage, stop: StopRequest) -> Iterator[None]:
    """Stop the study within seconds once its folder or storage is gone, replaced or taken over.

    Workers would otherwise train on for nothing: SQLite writes to a deleted file without an error.
    """
    watch = _Watch(folder, storage, stop)
    watch.start()
    try:
        yield
    finally:
        watch.end()


class _Watch:
    def __init__(self, folder: Path, storage: RetryingStorage, stop: StopRequest) -> None:
        self._folder = folder
        self._storage = storage
        self._stop = stop
        self._identity = identify(folder)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="searchlab-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join(_LOOK_SECONDS)

    def _keep(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS) and not self._stop.is_made:
            try:
                self._look()
            except InfrastructureError as fault:
                logger.debug("the study is stopping", exc_info=True)
                self._stop.fail(fault)

    def _look(self) -> None:
        try:
            is_same = identify(self._folder) == self._identity
        except FileNotFoundError:
            is_same = False
        except OSError as error:
            raise InfrastructureError(
                f"the run folder {self._folder} cannot be reached: {error.strerror}"
            ) from error
        if not is_same:
            raise InfrastructureError(
                f"the run folder {self._folder} was deleted, moved or replaced while the study "
                "ran: nothing more can be recorded. Put it back"
            )
        self._storage.check_driven()
