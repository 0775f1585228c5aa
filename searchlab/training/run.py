"""TrialRun: a trial from its first epoch, or its last checkpoint, to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from searchlab.config.trial import TrialConfig
from searchlab.training.checkpoint import load_checkpoint, save_checkpoint, save_model
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.results import EpochResult

__all__ = ["STOP_MARKER", "TrialFolders", "TrialRun"]

STOP_MARKER = "STOP"
"""A file of this name among the checkpoints asks every worker to save at its next epoch's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFolders:
    """Where a worker writes: unfinished trials, and the finished models that users take away."""

    checkpoints: Path
    models: Path
    checkpoint_seconds: float = 30.0


class TrialRun:
    """One trial on one worker.

    ``step`` returns one EpochResult a call until one is done. A run that found a checkpoint first
    returns the results of the epochs in it. Checkpoints are written when ``checkpoint_seconds``
    have passed since the last, so a short trial never writes one.
    """

    def __init__(self, config: TrialConfig, data: TrainingData, folders: TrialFolders) -> None:
        self._folders = folders
        self._cohort = Cohort(config, data)
        self._replay: Iterator[EpochResult] = iter(())
        if load_checkpoint(self._cohort, folders.checkpoints):
            self._replay = self._cohort.replay()
        self._saved_at = time.monotonic()

    def step(self) -> EpochResult:
        """Train one epoch (or replay one) and return its result; saves what must not be lost."""
        result = next(self._replay, None) or self._train_epoch()
        if result.done and not result.diverged:
            save_model(self._cohort, self._folders.models)
        return result

    def _train_epoch(self) -> EpochResult:
        result = self._cohort.run_epoch()
        if not result.done and self._is_checkpoint_due():
            self.save()
        return result

    def save(self) -> None:
        """Write a checkpoint of the epochs trained so far."""
        if self._cohort.epoch:
            save_checkpoint(self._cohort, self._folders.checkpoints)
        self._saved_at = time.monotonic()

    def _is_checkpoint_due(self) -> bool:
        if time.monotonic() - self._saved_at >= self._folders.checkpoint_seconds:
            return True
        return (self._folders.checkpoints / STOP_MARKER).exists()
