"""What a callback is told of a running study: its events, each with a snapshot of its progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from searchlab.config.trial import Role

__all__ = [
    "BestTrial",
    "Forecast",
    "NullCallback",
    "ProgressSnapshot",
    "RoleCounts",
    "RunningTrial",
    "StudyCallback",
    "TrialEnd",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTrial:
    """A running trial with its last reported epoch, 0 before the first, and value.

    ``seconds`` is what it has trained for here.
    """

    number: int
    role: Role
    label: str
    epoch: int
    num_epochs: int
    num_models: int
    value: float | None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnd:
    """A trial that just ended. ``state`` is COMPLETE, PRUNED or FAIL.

    ``value`` and ``test`` are the first objective's figures, on the search folds and the test set.
    """

    number: int
    role: Role
    label: str
    state: str
    value: float | None
    epoch: int
    seconds: float
    reason: str | None
    test: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrial:
    """The best complete trial of a role, by its value over the search folds."""

    number: int
    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCounts:
    """How many trials of a role have ended, of ``total``."""

    total: int
    complete: int
    pruned: int
    failed: int

    @property
    def ended(self) -> int:
        """Trials that ended in any state."""
        return self.complete + self.pruned + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The seconds left, until the end of a stage or, if that is None, of the study."""

    seconds: float
    stage: Role | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressSnapshot:
    """Where a study stands.

    ``remaining`` is None until two trials of a role have ended, and once the study is stopping. Of
    a quick look the best are named, but not judged.
    """

    study: str
    metric: str
    stage: Role
    counts: dict[Role, RoleCounts]
    running: tuple[RunningTrial, ...]
    best_search: BestTrial | None
    best_baseline: BestTrial | None
    elapsed_seconds: float
    remaining: Forecast | None
    stopping: bool = False
    is_quick_look: bool = False


class StudyCallback:
    """Is told what happens; a callback overrides what it needs.

    The driver's loop calls it, so every method must return at once.
    """

    def begin_phase(self, what: str) -> None:
        """Something that takes seconds begins, before the first trial or after the last.

        Such as ``starting Ray``.
        """

    def begin(self, snapshot: ProgressSnapshot) -> None:
        """The study is about to ask for its first trial."""

    def announce(self, message: str) -> None:
        """Something else that users should read happened, such as the loss of a worker."""

    def advance(self, snapshot: ProgressSnapshot) -> None:
        """A trial began or reported an epoch, or the study was asked to stop."""

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        """A trial ended."""

    def close(self, snapshot: ProgressSnapshot) -> None:
        """The study ended or was stopped."""


class NullCallback(StudyCallback):
    """Does nothing."""
