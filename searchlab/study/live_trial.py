"""A trial that is with an engine: its results so far, and what interrupted it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace

from optuna.trial import Trial

from searchlab.config.trial import Role, TrialConfig
from searchlab.study import trial_record as attr
from searchlab.study.callbacks import RunningTrial
from searchlab.study.trial_record import Interruptions
from searchlab.training.results import EpochResult

__all__ = ["LiveTrial"]


@dataclass(slots=True, kw_only=True)
class LiveTrial:
    """A trial at work. ``last_known_step`` is the last epoch in the storage."""

    trial: Trial
    config: TrialConfig
    role: Role
    label: str
    last_known_step: int
    interruptions: Interruptions = field(default_factory=Interruptions)
    results: dict[int, EpochResult] = field(default_factory=dict)
    pruned: bool = False

    @property
    def last(self) -> EpochResult | None:
        """The result of the latest epoch."""
        return self.results[max(self.results)] if self.results else None

    def add(self, result: EpochResult) -> bool:
        """Take an epoch's result; return whether it is the first of that epoch.

        A result that is equal to the one before was delivered twice. One that differs, if only in
        its seconds, or that the storage knew, was trained twice, unless a checkpoint had it.
        """
        known = self.results.get(result.epoch)
        if known == result:
            return False
        was_trained = known is not None or result.epoch <= self.last_known_step
        if was_trained and not result.replayed:
            self.count(rerun_epochs=self.interruptions.rerun_epochs + 1)
        self.results.setdefault(result.epoch, result)
        return known is None

    def record_epoch(self, result: EpochResult) -> None:
        """Have the storage know of an epoch, unless it does."""
        if result.epoch <= self.last_known_step:
            return
        if len(self.trial.study.directions) > 1:
            self.trial.storage.set_trial_system_attr(self.trial._trial_id, attr.EPOCH, result.epoch)
        else:
            self.trial.report(result.value, step=result.epoch)
        self.last_known_step = result.epoch

    def count(self, **changes: int) -> None:
        """Change some of the figures of what befell the trial; they are stored with its end."""
        self.interruptions = replace(self.interruptions, **changes)

    def count_worker_lost(self) -> None:
        """Count a worker that died, and whether the trial got on since the last that did."""
        before = self.interruptions
        self.count(
            worker_lost=before.worker_lost + 1,
            restarts_without_progress=0
            if self.last_known_step > before.epoch
            else before.restarts_without_progress + 1,
            epoch=self.last_known_step,
        )

    def store_interruptions(self) -> None:
        """Record what befell the trial, where anything did."""
        if self.interruptions != Interruptions():
            self.trial.storage.set_trial_system_attr(
                self.trial._trial_id, attr.INTERRUPTIONS, asdict(self.interruptions)
            )

    def describe(self) -> RunningTrial:
        """Return what a callback may know of it."""
        last = self.last
        return RunningTrial(
            number=self.config.number,
            role=self.role,
            label=self.label,
            epoch=0 if last is None else last.epoch,
            num_epochs=self.config.epochs,
            num_models=self.config.folds.num_members,
            value=None if last is None or math.isnan(last.value) else last.value,
        )
