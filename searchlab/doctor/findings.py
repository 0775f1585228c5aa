"""What the rules of a diagnosis read and what they return."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from searchlab.records.storage.urls import hide_password

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from searchlab.config.study import StudySpec
    from searchlab.data.folds import Indices
    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.reading import StudyReading

__all__ = ["RUN_ANEW", "Evidence", "Finding", "Rule", "Severity", "StudyFolds", "list_trials"]

Severity = Literal["problem", "warning"]

RUN_ANEW = "The figures of finished trials cannot be repaired: run the study again"
"""The remedy if a trial's figures are wrong for good."""

_MAX_LISTED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Damage found by one rule: what is wrong, in which trials, and what to do about it.

    ``command`` is the command that carries out the remedy, if there is one.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str
    command: str | None = None
    trials: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFolds:
    """The validation indices of every fold, recomputed from the study's own images."""

    folds: tuple[Indices, ...]
    num_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The study under diagnosis. ``folds`` is None if its images are not available."""

    reading: StudyReading
    folds: StudyFolds | None = None

    @property
    def spec(self) -> StudySpec:
        """The study as specified."""
        return self.reading.spec

    @property
    def trials(self) -> list[FrozenTrial]:
        """Every trial as Optuna returns it."""
        return self.reading.trials

    @property
    def records(self) -> list[TrialRecord]:
        """The same trials as records."""
        return self.reading.records

    @property
    def search(self) -> list[tuple[TrialRecord, FrozenTrial]]:
        """The search trials that have parameters, by number, without retries."""
        pairs = zip(self.records, self.trials, strict=True)
        return [
            (record, trial)
            for record, trial in sorted(pairs, key=lambda pair: pair[0].number)
            if record.role == "search" and record.retry_of is None
            if trial.params and record.state != "WAITING"
        ]

    @property
    def is_own_storage(self) -> bool:
        """Whether the storage is the run folder's own, which no other machine drives."""
        run = self.reading.run
        return run.is_embedded() and self.reading.storage_url == run.storage_url()

    @property
    def rerun_command(self) -> str:
        """The command that runs the same study from the start under another name."""
        path = str(self.reading.run.study_file)
        return shlex.join(["searchlab", "study", "run", path, "--set", "name=NAME"])

    def resume_command(self, *overrides: str) -> str:
        """Return the command that resumes the study with some settings changed."""
        options = [word for override in overrides for word in ("--set", override)]
        if not self.is_own_storage:
            options += ["--storage", hide_password(self.reading.storage_url)]
        return self.reading.run.command("study", "resume", options=options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of damage. ``check`` yields a finding for each form of it."""

    name: str
    check: Callable[[Evidence], Iterable[Finding]]


def list_trials(numbers: Sequence[int]) -> str:
    """Name trials by number; a long list is cut short.

    >>> list_trials([3])
    'trial #3'
    >>> list_trials(range(9))
    'trials #0, #1, #2, #3, #4 and 4 more'
    """
    numbers = sorted(numbers)
    if len(numbers) == 1:
        return f"trial #{numbers[0]}"
    shown = numbers if len(numbers) <= _MAX_LISTED else numbers[: _MAX_LISTED - 1]
    text = "trials " + ", ".join(f"#{number}" for number in shown)
    return text if len(shown) == len(numbers) else f"{text} and {len(numbers) - len(shown)} more"
