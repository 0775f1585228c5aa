"""Where a study stands: counts, bests and the time left, all derived from its finished trials."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from searchlab.config.changes import describe_quick_look
from searchlab.config.study import StudySpec
from searchlab.config.trial import ROLES, Role, Scalar
from searchlab.records.trial_record import TrialRecord
from searchlab.study.callbacks import BestTrial, ProgressSnapshot, RoleCounts, RunningTrial
from searchlab.study.forecast import Forecaster

__all__ = ["FinishedTrials", "StudyProgress"]

# By which the time left is forecast, after every epoch.
_NUM_RECENT = 100


class FinishedTrials:
    """The records of a study's finished trials, and the counts and bests that follow from them.

    ``sign`` is 1 if a greater value is better, -1 if a smaller one is. A trial that another one
    replaces is neither counted nor the best. ``recent`` has the last records of the search, and all
    of the other roles, in the order in which they were added.
    """

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._records: dict[int, TrialRecord] = {}
        self._num_ended: Counter[tuple[Role, str]] = Counter()
        self._best: dict[Role, BestTrial] = {}
        self._results: dict[frozenset[tuple[str, Scalar]], int] = {}
        self.recent: Mapping[Role, deque[TrialRecord]] = {
            role: deque(maxlen=_NUM_RECENT if role == "search" else None) for role in ROLES
        }

    def __contains__(self, number: int) -> bool:
        """Return whether the trial of this number is known to have ended."""
        return number in self._records

    def __iter__(self) -> Iterator[TrialRecord]:
        """Yield the records in the order of their numbers."""
        return iter([self._records[number] for number in sorted(self._records)])

    def add(self, record: TrialRecord) -> None:
        """Take in a trial that ended, here or with another driver."""
        assert record.number not in self._records, record.number
        self._records[record.number] = record
        if record.role == "search" and record.state != "FAIL" and record.same_as is None:
            self._results.setdefault(frozenset(record.params.items()), record.number)
        if record.is_replaced:
            return
        self.recent[record.role].append(record)
        self._num_ended[record.role, record.state] += 1
        if record.state != "COMPLETE" or record.value is None:
            return
        best = self._best.get(record.role)
        if best is None or self._sign * (record.value - best.value) > 0:
            self._best[record.role] = BestTrial(
                number=record.number, label=record.label, value=record.value
            )

    def find_result(self, params: Mapping[str, Scalar]) -> int | None:
        """Return the search trial that was trained with these parameters and did not fail."""
        return self._results.get(frozenset(params.items()))

    def best(self, role: Role) -> BestTrial | None:
        """Return the best complete trial of a role, of equal ones the first that was added."""
        return self._best.get(role)

    def counts(self, role: Role, *, total: int) -> RoleCounts:
        """Return how many trials of a role have ended, of ``total``."""
        return RoleCounts(
            total=total,
            complete=self._num_ended[role, "COMPLETE"],
            pruned=self._num_ended[role, "PRUNED"],
            failed=self._num_ended[role, "FAIL"],
        )


@dataclass(slots=True, kw_only=True)
class StudyProgress:
    """Says where a study stands."""

    spec: StudySpec
    finished: FinishedTrials
    forecaster: Forecaster = field(init=False)
    _started_at: float = field(init=False)
    _is_quick_look: bool = field(init=False)

    def __post_init__(self) -> None:
        self._started_at = time.monotonic()
        self._is_quick_look = bool(describe_quick_look(self.spec))
        self.forecaster = Forecaster(spec=self.spec)

    def snapshot(
        self, *, totals: Mapping[Role, int], running: Sequence[RunningTrial], stopping: bool
    ) -> ProgressSnapshot:
        """Return where the study stands now."""
        counts = {role: self.finished.counts(role, total=totals[role]) for role in ROLES}
        unended = {role: max(0, totals[role] - counts[role].ended) for role in ROLES}
        planned = [role for role in ROLES if totals[role]] or ROLES
        forecast = self.forecaster.forecast
        return ProgressSnapshot(
            study=self.spec.name,
            metric=self.spec.primary.metric,
            stage=next((role for role in planned if unended[role]), planned[-1]),
            counts=counts,
            running=tuple(running),
            best_search=self.finished.best("search"),
            best_baseline=self.finished.best("baseline"),
            elapsed_seconds=time.monotonic() - self._started_at,
            remaining=None if stopping else forecast(self.finished.recent, unended, running),
            stopping=stopping,
            is_quick_look=self._is_quick_look,
        )
