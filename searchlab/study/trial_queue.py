"""TrialQueue: which trial a study runs next, if any is left.

First come trials that were left RUNNING without an owner, then those that wait in the storage, the
replacements of lost trials, the baselines, the search (first its reference points), the finalists,
and last the confirmations of the best finalist and the best baseline.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from searchlab.config.trial import Role
from searchlab.records import trial_record as attr
from searchlab.records.locks.drivers import StudyLock
from searchlab.records.optuna_internals import frozen_of, reopen_trial, write_system_attribute
from searchlab.records.storage.fencing import StaleTokenError
from searchlab.records.trial_record import CREATED_BY, TrialRecord, owner_of
from searchlab.study.plan import (
    PlannedTrial,
    StudyPlan,
    choose_finalists,
    count_confirmations,
    plan_confirmations,
    plan_retry,
)
from searchlab.study.progress import FinishedTrials
from searchlab.study.search_goal import Lead, find_lead

__all__ = ["TrialQueue", "owner_of"]

logger = logging.getLogger(__name__)

# A decision is made again if the lock's connection was lost in it and another driver decided.
_MAX_ATTEMPTS = 10


@dataclass(slots=True, kw_only=True)
class _Rows:
    """What the storage holds beside the finished trials."""

    orphans: deque[int]  # numbers of RUNNING trials that no driver works on
    others: dict[int, Role]  # RUNNING trials of another driver, by number
    num_waiting: int
    num_searched: int
    num_drawn: int  # of those, the ones that a sampler drew
    owed: deque[PlannedTrial]  # replacements of lost trials
    planned: dict[object, Role]  # roles of the planned trials that were begun, by key


class TrialQueue:
    """Decides what comes next, alone or with other drivers of the same study.

    If the lock is shared with other drivers, every decision begins by reading what they did, and
    only one driver decides at a time, so that the budget is exact and no baseline runs twice.

    ``finished`` holds the records of all trials that are known to have ended; ``lead`` is the one
    that ended the search before its budget, if any has.
    """

    def __init__(self, *, plan: StudyPlan, study: Study, lock: StudyLock) -> None:
        self._spec = plan.spec
        self._study = study
        self._lock = lock
        self._started_at = time.monotonic()
        self.finished = FinishedTrials(plan.spec.primary.sign)
        self.lead: Lead | None = None
        self._all_baselines = plan.baselines
        self._all_start = plan.start
        self._all_search = plan.search
        self._finalists: deque[PlannedTrial] | None = None
        self._num_finalists: int | None = None  # in all, once they have been chosen
        self._confirmations: deque[PlannedTrial] | None = None
        self._num_confirmations: int | None = None
        self._refresh(live=())
        if not self._has_pending and self.is_search_over:  # a resume with nothing left says so
            running = set(self._rows.others.values())
            self._choose_finalists(running)
            if not self._finalists:
                self._choose_confirmations(running)

    # What comes next

    def take_next(self, live: Mapping[int, Role]) -> Trial | None:
        """Return the next trial, RUNNING and ours, or None. ``live`` are those that we have.

        Raises StaleTokenError if this driver's fencing token turns stale again and again.
        """
        attempts = 0
        while True:
            attempts += 1
            try:
                with self._lock.deciding():
                    if self._lock.shared:
                        self._refresh(live)
                    return self._take(live)
            except StaleTokenError:
                if attempts == _MAX_ATTEMPTS:
                    raise
                logger.info("another driver decided in the meantime; deciding again")

    def _take(self, live: Mapping[int, Role]) -> Trial | None:
        rows = self._rows
        if rows.orphans:
            return self._adopt(rows.orphans.popleft())
        if rows.num_waiting:
            rows.num_waiting -= 1
            return self._own(self._study.ask())
        if rows.owed:
            return self._ask_planned(rows.owed.popleft())
        if self._baselines:
            return self._ask_planned(self._baselines.popleft())
        running: set[Role] = {*live.values(), *rows.others.values()}
        return (
            self._take_search() or self._take_finalist(running) or self._take_confirmation(running)
        )

    def _adopt(self, number: int) -> Trial:
        logger.debug("taking up the unfinished trial %d", number)
        return self._own(reopen_trial(self._study, number))

    def _own(self, trial: Trial) -> Trial:
        """Record that a trial is this driver's; one that this driver made says so already."""
        if owner_of(frozen_of(trial).system_attrs.get(CREATED_BY)) != self._lock.driver:
            stamp = f"{self._lock.driver}/adopted-{trial.number}"
            write_system_attribute(self._study, trial, CREATED_BY, stamp)
        return trial

    def _take_search(self) -> Trial | None:
        if self.is_search_over:
            return None
        if self._all_search is not None:
            return self._ask_planned(self._search.popleft())
        self._rows.num_searched += 1
        if self._start:
            return self._ask_planned(self._start.popleft())
        return self._own(self._study.ask())

    @property
    def is_search_over(self) -> bool:
        """Return whether no more search trials may begin."""
        if self.lead is not None:
            return True
        timeout = self._spec.search.timeout
        if timeout is not None and time.monotonic() - self._started_at >= timeout:
            return True
        if self._all_search is not None:
            return not self._search
        assert self._spec.search.trials is not None
        return self._rows.num_searched >= self._spec.search.trials

    def _take_finalist(self, running: Set[Role]) -> Trial | None:
        self._choose_finalists(running)
        return self._ask_planned(self._finalists.popleft()) if self._finalists else None

    def _choose_finalists(self, running: Set[Role]) -> None:
        """Choose them once no search trial runs that may yet be one."""
        if self._finalists is None and "search" not in running:
            self._finalists = self._not_begun(choose_finalists(self._spec, self.finished))
            self._num_finalists = self._count_begun("finalist") + len(self._finalists)

    def _take_confirmation(self, running: Set[Role]) -> Trial | None:
        self._choose_confirmations(running)
        return self._ask_planned(self._confirmations.popleft()) if self._confirmations else None

    def _choose_confirmations(self, running: Set[Role]) -> None:
        """Choose them once no trial runs that may yet be confirmed."""
        if self._confirmations is None and not running - {"confirmation"}:
            self._confirmations = self._not_begun(plan_confirmations(self._spec, self.finished))
            begun = self._count_begun("confirmation")
            self._num_confirmations = begun + len(self._confirmations)

    def _count_begun(self, role: Role) -> int:
        return sum(role == begun for begun in self._rows.planned.values())

    def _ask_planned(self, planned: PlannedTrial) -> Trial:
        self._study.enqueue_trial(planned.point, user_attrs=planned.user_attributes())
        trial = self._study.ask()
        if frozen_of(trial).user_attrs.get(attr.PLAN) != planned.key:
            self._rows.num_waiting += 1  # somebody else enqueued one before; ours is the next
        self._rows.planned[planned.key] = planned.role
        return self._own(trial)

    def _not_begun(self, planned: Iterable[PlannedTrial]) -> deque[PlannedTrial]:
        return deque(item for item in planned if item.key not in self._rows.planned)

    # What happened

    def give_back(self, number: int) -> None:
        """Have one of our trials taken again, before anything new."""
        self._rows.orphans.append(number)

    def note_end(self, record: TrialRecord) -> None:
        """A trial of ours ended; a lost one is owed a replacement."""
        self.finished.add(record)
        self._look_for_lead()
        if record.is_replaced:
            self._rows.owed.append(plan_retry(record))

    # What is left

    @property
    def totals(self) -> dict[Role, int]:
        """Return how many trials of each role the study runs, replacements not counted.

        The numbers of finalists and confirmations are upper bounds until they are chosen.
        """
        num_search = self._count_search()
        num_finalists = self._num_finalists
        if num_finalists is None:
            num_finalists = min(self._spec.confirm.top, num_search)
        num_confirmations = self._num_confirmations
        if num_confirmations is None:
            num_confirmations = count_confirmations(self._spec)
        return {
            "baseline": len(self._all_baselines),
            "search": num_search,
            "finalist": num_finalists,
            "confirmation": num_confirmations,
        }

    def _count_search(self) -> int:
        if self._all_search is not None:
            return len(self._all_search) - (0 if self.lead is None else len(self._search))
        return (self._spec.search.trials or 0) if self.lead is None else self._rows.num_searched

    @property
    def start(self) -> list[PlannedTrial]:
        """Return the reference points that are still to be tried before the sampler draws."""
        return list(self._start)

    @property
    def waits_for_others(self) -> bool:
        """Return whether trials of other drivers must end before the study does."""
        return bool(self._rows.others)

    @property
    def is_done(self) -> bool:
        """Return whether nothing is left to take."""
        return (
            not (self._has_pending or self._rows.others)
            and self.is_search_over
            and self._finalists is not None
            and not self._finalists
            and self._confirmations is not None
            and not self._confirmations
        )

    @property
    def _has_pending(self) -> bool:
        """Return whether trials are left that come before those of the search."""
        rows = self._rows
        return bool(rows.orphans or rows.num_waiting or rows.owed or self._baselines)

    # What the storage holds

    def _refresh(self, live: Iterable[int]) -> None:
        trials = self._study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self.finished:
                self.finished.add(TrialRecord.from_trial(trial))
        ours = set(live)
        running = [
            trial
            for trial in trials
            if trial.state == TrialState.RUNNING and trial.number not in ours
        ]
        searched = [
            trial
            for trial in trials
            if _role(trial) == "search" and attr.RETRY_OF not in trial.user_attrs
        ]
        others = {trial.number: _role(trial) for trial in running if self._is_anothers(trial)}
        self._rows = _Rows(
            orphans=deque(trial.number for trial in running if trial.number not in others),
            others=others,
            num_waiting=sum(trial.state == TrialState.WAITING for trial in trials),
            num_searched=len(searched),
            num_drawn=sum(attr.PLAN not in trial.user_attrs for trial in searched),
            owed=_find_owed(trials, self.finished),
            planned={
                trial.user_attrs[attr.PLAN]: _role(trial)
                for trial in trials
                if attr.PLAN in trial.user_attrs
            },
        )
        self._baselines = self._not_begun(self._all_baselines)
        # After the first draw it is too late: a study recorded without reference points has none.
        self._start = self._not_begun(() if self._rows.num_drawn else self._all_start)
        self._search = self._not_begun(self._all_search or ())
        self._finalists = None
        self._confirmations = None
        self._look_for_lead()

    def _look_for_lead(self) -> None:
        """See whether the search has reached its goal, once all baselines have ended."""
        if self.lead is not None or self._spec.search.until is None:
            return
        baselines = self.finished.recent["baseline"]
        ended = {record.plan for record in baselines}
        if all(planned.key in ended for planned in self._all_baselines):
            lead = find_lead(self._spec, self.finished.best("search"), baselines)
            self.lead = lead if lead is not None and lead.is_enough else None

    def _is_anothers(self, trial: FrozenTrial) -> bool:
        """Return whether another driver, which is alive, works on a trial."""
        if not self._lock.shared:
            return False
        owner = owner_of(trial.system_attrs.get(CREATED_BY))
        return owner is not None and owner != self._lock.driver and self._lock.is_alive(owner)


def _find_owed(
    trials: Iterable[FrozenTrial], finished: Iterable[TrialRecord]
) -> deque[PlannedTrial]:
    """Return the replacements of lost trials that no driver has begun."""
    begun = {trial.user_attrs.get(attr.RETRY_OF) for trial in trials}
    return deque(
        plan_retry(record)
        for record in finished
        if record.is_replaced and record.number not in begun
    )


def _role(trial: FrozenTrial) -> Role:
    role: Role = trial.user_attrs.get(attr.ROLE, "search")
    return role
