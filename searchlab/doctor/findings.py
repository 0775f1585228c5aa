"""What the rules of a diagnosis read, and what they find."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from searchlab.study.storage.opening import hide_password

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from searchlab.config.study import StudySpec
    from searchlab.data.folds import Indices
    from searchlab.report.reading import StudyReading
    from searchlab.study.trial_record import TrialRecord

__all__ = ["RUN_ANEW", "Evidence", "Finding", "Rule", "Severity", "StudyFolds", "list_trials"]

Severity = Literal["problem", "warning"]

RUN_ANEW = "What is recorded of a finished trial stays: run the study anew"
"""The remedy where a record cannot be mended."""

_MAX_LISTED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Damage that one rule found: what is wrong, in which trials, and what to do about it.

    ``command`` is the command of the remedy, where that is one.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str
    command: str | None = None
    trials: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFolds:
    """The validation indices of every fold, dealt out anew from the study's own images."""

    folds: tuple[Indices, ...]
    num_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A study as it is judged. ``folds`` is None where its images are not at hand."""

    reading: StudyReading
    folds: StudyFolds | None = None

    @property
    def spec(self) -> StudySpec:
        """What was asked for."""
        return self.reading.spec

    @property
    def trials(self) -> list[FrozenTrial]:
        """Every trial as Optuna returns it."""
        return self.reading.trials

    @property
    def records(self) -> list[TrialRecord]:
        """The same trials, read."""
        return self.reading.records

    @property
    def search(self) -> list[tuple[TrialRecord, FrozenTrial]]:
        """The search trials that have parameters, by number; trials run again are left out."""
        pairs = zip(self.records, self.trials, strict=True)
        return [
            (record, trial)
            for record, trial in sorted(pairs, key=lambda pair: pair[0].number)
            if record.role == "search" and record.retry_of is None
            if trial.params and record.state != "WAITING"
        ]

    @property
    def is_own_storage(self) -> bool:
        """Whether the study is recorded in its run folder, where no other machine drives it."""
        run = self.reading.run
        return run.is_embedded() and self.reading.storage_url == run.storage_url()

    @property
    def rerun_command(self) -> str:
        """The command that runs the same study from its start, under another name."""
        path = str(self.reading.run.study_file)
        return shlex.join(["searchlab", "study", "run", path, "--set", "name=NAME"])

    def resume_command(self, *overrides: str) -> str:
        """Return the command that carries on with the study, with what is to change."""
        command = ["searchlab", "study", "resume", str(self.reading.run.path)]
        for override in overrides:
            command += ["--set", override]
        if not self.is_own_storage:
            command += ["--storage", hide_password(self.reading.storage_url)]
        return shlex.join(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of damage. ``check`` yields a finding for each form of it that is there."""

    name: str
    check: Callable[[Evidence], Iterable[Finding]]


def list_trials(numbers: Sequence[int]) -> str:
    """Name trials by number, shortened where they are many.

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
