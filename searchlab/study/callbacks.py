"""What a callback may know of a running study: its events, and a snapshot at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from searchlab.config.trial import Role

__all__ = [
    "BestTrial",
    "NullCallback",
    "RoleCounts",
    "RunningTrial",
    "Snapshot",
    "StudyCallback",
    "TrialEnd",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTrial:
    """A trial at work: its last reported epoch (0 before the first) and value."""

    number: int
    role: Role
    label: str
    epoch: int
    num_epochs: int
    num_models: int
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnd:
    """A trial that just ended. ``state`` is COMPLETE, PRUNED or FAIL."""

    number: int
    role: Role
    label: str
    state: str
    value: float | None
    epoch: int
    seconds: float
    reason: str | None
    test_accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrial:
    """The best finished trial of a kind, by value over the search folds."""

    number: int
    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCounts:
    """How far one role is. ``total`` is None where it isn't known yet."""

    total: int | None
    complete: int
    pruned: int
    failed: int

    @property
    def ended(self) -> int:
        """Trials that ended in any state."""
        return self.complete + self.pruned + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Where a study stands. ``remaining_seconds`` is None until there is something to go by."""

    study: str
    metric: str
    stage: Role
    counts: dict[Role, RoleCounts]
    running: tuple[RunningTrial, ...]
    best_search: BestTrial | None
    best_baseline: BestTrial | None
    elapsed_seconds: float
    remaining_seconds: float | None
    stopping: bool = False


class StudyCallback(Protocol):
    """Is told what happens. Called from the driver's loop, so it must return at once."""

    def begin(self, snapshot: Snapshot) -> None:
        """The study is about to ask for its first trial."""

    def announce(self, message: str) -> None:
        """Something happened that is worth a line: what the workers get, a worker lost."""

    def advance(self, snapshot: Snapshot) -> None:
        """A trial began or reported an epoch."""

    def end_trial(self, end: TrialEnd, snapshot: Snapshot) -> None:
        """A trial ended."""

    def close(self, snapshot: Snapshot) -> None:
        """The study ended or was stopped."""


class NullCallback:
    """Watches nothing."""

    def begin(self, snapshot: Snapshot) -> None:
        """Ignore it."""

    def announce(self, message: str) -> None:
        """Ignore it."""

    def advance(self, snapshot: Snapshot) -> None:
        """Ignore it."""

    def end_trial(self, end: TrialEnd, snapshot: Snapshot) -> None:
        """Ignore it."""

    def close(self, snapshot: Snapshot) -> None:
        """Ignore it."""
