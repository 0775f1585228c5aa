"""What a callback is told of a running study: its events, each with a snapshot of its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from searchlab.config.metrics import Figures

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.config.trial import Role, Scalar
    from searchlab.records.trial_record import TrialRecord

__all__ = [
    "BestTrial",
    "EndedTrial",
    "EpochEnd",
    "Forecast",
    "JoinedCallbacks",
    "NullCallback",
    "ProgressSnapshot",
    "RoleCounts",
    "RunningTrial",
    "StudyBegin",
    "StudyCallback",
    "StudyEnd",
    "TrialBegin",
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
class TrialBegin:
    """A trial that begins, or begins again: then its epochs come again from the first.

    ``params`` has what Optuna has: ``lr``, ``family``, ``cnn.depth``. ``repeats`` is the number of
    the trial that a finalist trains on all folds, that a confirmation trains again, or whose result
    a search trial of the same configuration has.
    """

    number: int
    role: Role
    label: str
    params: Mapping[str, Scalar]
    repeats: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnd:
    """A trial after ``epoch`` epochs, the first of which is 1.

    Figures are by metric, as means over the search folds; of a confirmation, which has no folds,
    ``training`` is of its one model, and ``validation`` is empty.
    """

    number: int
    role: Role
    epoch: int
    training: Figures
    validation: Figures
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnd:
    """A trial that just ended. ``state`` is COMPLETE, PRUNED or FAIL.

    ``value`` and ``test`` are the first objective's figures, on the search folds and the test set.
    ``figures`` and ``test_figures`` have all that was measured there, by metric.
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
    figures: Figures = field(default_factory=dict)
    test_figures: Figures = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTrial:
    """A trial of the record as its events told it, or would have."""

    begin: TrialBegin
    epochs: tuple[EpochEnd, ...]
    end: TrialEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyBegin:
    """A study that begins here, or goes on. ``read_ended`` returns the trials ended before."""

    spec: StudySpec
    read_ended: Callable[[], Iterable[EndedTrial]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEnd:
    """The end of a study, or a stop before it. ``records`` has every ended trial, by number."""

    spec: StudySpec
    records: tuple[TrialRecord, ...]
    is_finished: bool


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

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        """The study is about to ask for its first trial."""

    def announce(self, message: str) -> None:
        """Something else that users should read happened, such as the loss of a worker."""

    def advance(self, snapshot: ProgressSnapshot) -> None:
        """A trial began or reported an epoch, or the study was asked to stop."""

    def begin_trial(self, begin: TrialBegin) -> None:
        """A trial began, or began again after its worker or driver was lost."""

    def end_epoch(self, end: EpochEnd) -> None:
        """A trial reported an epoch."""

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        """A trial ended."""

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        """The study ended or was stopped."""


class NullCallback(StudyCallback):
    """Does nothing."""


class JoinedCallbacks(StudyCallback):
    """Tells several callbacks, in order."""

    def __init__(self, callbacks: Iterable[StudyCallback]) -> None:
        self._callbacks = tuple(callbacks)

    def begin_phase(self, what: str) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.begin_phase(what)

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.begin_study(begin, snapshot)

    def announce(self, message: str) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.announce(message)

    def advance(self, snapshot: ProgressSnapshot) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.advance(snapshot)

    def begin_trial(self, begin: TrialBegin) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.begin_trial(begin)

    def end_epoch(self, end: EpochEnd) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.end_epoch(end)

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.end_trial(end, snapshot)

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.end_study(end, snapshot)
