"""TrialRun: runs a trial from its first epoch or last checkpoint to its end."""

from __future__ import annotations

import errno
import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError

from searchlab.config.trial import TrialConfig
from searchlab.training.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    save_held_out,
    save_model,
)
from searchlab.training.checkpoint_files import CheckpointFiles
from searchlab.training.cohort import Cohort
from searchlab.training.failures import describe_failure, run_files_named
from searchlab.training.graphed_steps import RecordingError, can_graph
from searchlab.training.images import TrainingData
from searchlab.training.machine import describe_machine
from searchlab.training.memory import (
    BATCH_SPLIT,
    choose_batch_split,
    free_memory,
    note_killed_for_memory,
    release_frames,
)
from searchlab.training.results import EpochResult

__all__ = ["STOP_MARKER", "TrialFolders", "TrialRun"]

logger = logging.getLogger(__name__)

STOP_MARKER = "STOP"
"""A file of this name in the checkpoint folder asks every worker to save after its next epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFolders:
    """Where a worker writes unfinished trials, and finished models for users."""

    checkpoints: Path
    models: Path
    checkpoint_seconds: float = 30.0


class TrialRun:
    """One trial on one worker.

    ``step`` returns one EpochResult per call until one is done. If there was a checkpoint, it first
    returns the results of the epochs in it. A checkpoint is written when ``checkpoint_seconds``
    have passed since the last, so a short trial never writes one.

    If memory runs out, the trial continues once from its last checkpoint with split batches
    (``Member``); epochs since then are trained and returned again. Raises MemoryError if a second
    attempt ran out of memory on another worker.

    Steps that cannot be recorded as a CUDA graph are trained without, from the last checkpoint.

    Folds that the trial may take over (``TrialConfig.trained``) are trained here like the others if
    they would have other bits: with split batches, or on another kind of machine.
    """

    def __init__(self, config: TrialConfig, data: TrainingData, folders: TrialFolders) -> None:
        self._config = config
        self._data = data
        self._folders = folders
        with run_files_named():
            self._batch_split = choose_batch_split(folders.checkpoints, config.number)
        self._files = CheckpointFiles(folders.checkpoints, config.number)
        self._cohort: Cohort | None = None
        self._replay: Iterator[EpochResult] = iter(())
        self._may_graph = True
        self._returned_epoch = 0
        self._saved_epoch = 0
        self._saved_at = time.monotonic()

    def step(self) -> EpochResult:
        """Train or replay one epoch and return its result; save checkpoints and the final model."""
        try:
            return self._step()
        except RecordingError as error:
            logger.warning("trial %d goes on without CUDA graphs: %s", self._config.number, error)
            self._may_graph = False
            self._cohort, self._replay = None, iter(())
            ran_out = False
            release_frames(error)
        except (RuntimeError, MemoryError, OSError, SafetensorError) as error:
            if describe_failure(error).kind != "oom":
                raise
            trace = "".join(traceback.format_exception(error))
            logger.warning("trial %d ran out of memory:\n%s", self._config.number, trace)
            self._cohort, self._replay = None, iter(())
            ran_out = True
            release_frames(error)
            if self._batch_split > 1:
                raise
        # Not in the clauses above, which keep the error and everything it refers to alive.
        free_memory()
        if ran_out:
            with self._writing():
                note_killed_for_memory(self._folders.checkpoints, self._config.number)
            self._batch_split = BATCH_SPLIT
        return self.step()

    def save(self) -> None:
        """Write a checkpoint of the epochs trained so far."""
        if self._cohort is not None and self._cohort.epoch > self._saved_epoch:
            with self._writing():
                save_checkpoint(self._cohort, self._files)
            self._saved_epoch = self._cohort.epoch
        self._saved_at = time.monotonic()

    def _step(self) -> EpochResult:
        cohort = self._cohort or self._begin()
        result = next(self._replay, None) or self._train_epoch(cohort)
        if result.done and not result.diverged:
            with self._writing():
                save_held_out(cohort, self._folders.models)
                save_model(cohort, self._folders.models)
        self._returned_epoch = max(self._returned_epoch, result.epoch)
        return result

    def _begin(self) -> Cohort:
        config = self._config if self._may_take_over() else replace(self._config, trained=None)
        graphed = self._may_graph and can_graph(config, self._data) and self._batch_split == 1
        cohort = Cohort(config, self._data, batch_split=self._batch_split, graphed=graphed)
        with run_files_named():
            is_loaded = load_checkpoint(cohort, self._files)
        if is_loaded:
            returned = self._returned_epoch
            self._replay = (result for result in cohort.replay() if result.epoch > returned)
        self._saved_epoch = cohort.epoch
        self._cohort = cohort
        return cohort

    def _may_take_over(self) -> bool:
        """Return whether folds that another trial has trained would be the same to the bit here."""
        trained = self._config.trained
        is_same_machine = trained and trained.machine == describe_machine(self._data.device)
        return bool(is_same_machine) and self._batch_split == 1

    def _train_epoch(self, cohort: Cohort) -> EpochResult:
        # Weights from the middle of an epoch, after an error or divergence, must not be saved.
        self._cohort = None
        result = cohort.run_epoch()
        if not result.diverged:
            self._cohort = cohort
            if self._is_checkpoint_due():
                self.save()
        return result

    def _is_checkpoint_due(self) -> bool:
        if time.monotonic() - self._saved_at >= self._folders.checkpoint_seconds:
            return True
        with run_files_named():
            return (self._folders.checkpoints / STOP_MARKER).exists()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write files in the run folder, which is not made again if somebody deleted it."""
        folder = self._folders.checkpoints.parent
        with run_files_named():
            if not folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, "The run folder is gone", str(folder))
            yield
