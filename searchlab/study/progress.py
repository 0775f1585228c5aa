"""StudyProgress: counts, bests and the time left, kept as trials begin and end."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from searchlab.config.study import StudySpec
from searchlab.config.trial import ROLES, Role
from searchlab.study.callbacks import BestTrial, RoleCounts, RunningTrial, Snapshot
from searchlab.study.configure import mean_epochs, plan_folds
from searchlab.study.trial_record import TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["StudyProgress", "is_better"]


def is_better(value: float, than: float, direction: str) -> bool:
    """Compare two values in the objective's direction."""
    return value > than if direction == "maximize" else value < than


@dataclass(slots=True, kw_only=True)
class StudyProgress:
    """Where a study stands. Work is measured in model epochs: one model trained for one epoch."""

    spec: StudySpec
    totals: dict[Role, int]
    ended: Counter[tuple[Role, str]] = field(default_factory=Counter)
    best: dict[Role, BestTrial] = field(default_factory=dict)
    running: dict[int, RunningTrial] = field(default_factory=dict)
    started_at: float = field(default_factory=time.monotonic)
    _work_done: float = 0.0
    _expected: float | None = None  # seconds of a model epoch, before any was trained

    def count_earlier(self, records: Iterable[TrialRecord]) -> None:
        """Count what an earlier run of the study finished, or another driver."""
        for record in records:
            self._count(record)

    def expect(self, seconds_per_model_epoch: float) -> None:
        """Forecast by this until the first epoch is trained."""
        self._expected = seconds_per_model_epoch

    def begin(self, trial: RunningTrial) -> None:
        """A trial began."""
        self.running[trial.number] = trial

    def advance(self, trial: RunningTrial) -> None:
        """A trial trained an epoch."""
        self._work_done += trial.num_models * (trial.epoch - self.running[trial.number].epoch)
        self.running[trial.number] = trial

    def end(self, record: TrialRecord) -> None:
        """A trial ended; a pruned one has saved the rest of its work."""
        self.forget(record.number)
        self._count(record)

    def forget(self, number: int) -> None:
        """A trial is no longer at work here."""
        del self.running[number]

    def _count(self, record: TrialRecord) -> None:
        if record.is_replaced:
            return  # the trial in its place counts
        self.ended[record.role, record.state] += 1
        if record.state != "COMPLETE" or record.value is None:
            return
        best = self.best.get(record.role)
        direction = self.spec.primary.natural_direction
        if best is None or is_better(record.value, best.value, direction):
            self.best[record.role] = BestTrial(
                number=record.number, label=record.label, value=record.value
            )

    def counts(self, role: Role) -> RoleCounts:
        """Return how far a role is."""
        return RoleCounts(
            total=self.totals[role],
            complete=self.ended[role, "COMPLETE"],
            pruned=self.ended[role, "PRUNED"],
            failed=self.ended[role, "FAIL"],
        )

    def snapshot(self, *, stopping: bool = False) -> Snapshot:
        """Return where the study stands now."""
        counts = {role: self.counts(role) for role in ROLES}
        stage: Role = next(
            (role for role in ROLES if counts[role].ended < self.totals[role]), ROLES[-1]
        )
        elapsed = time.monotonic() - self.started_at
        return Snapshot(
            study=self.spec.name,
            metric=self.spec.primary.metric,
            stage=stage,
            counts=counts,
            running=tuple(self.running.values()),
            best_search=self.best.get("search"),
            best_baseline=self.best.get("baseline"),
            elapsed_seconds=elapsed,
            remaining_seconds=self._remaining(elapsed),
            stopping=stopping,
        )

    def _remaining(self, elapsed: float) -> float | None:
        if self._work_done <= 0 and self._expected is None:
            return None
        left = sum(
            max(0, self.totals[role] - self.counts(role).ended) * self._work(role) for role in ROLES
        )
        left -= sum(trial.num_models * trial.epoch for trial in self.running.values())
        pace = elapsed / self._work_done if self._work_done > 0 else self._expected
        assert pace is not None
        return max(0.0, left) * pace

    def _work(self, role: Role) -> float:
        """Return the model epochs of one trial of a role that isn't pruned."""
        return plan_folds(self.spec, role).num_members * mean_epochs(self.spec, role)
