"""The queue: which trial a study runs next, and whether there is none left.

Taken up first is what was left RUNNING without an owner, then what waits, then what is owed to
trials that were lost, the baselines, the search, and the finalists.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from searchlab.config.study import StudySpec
from searchlab.config.trial import Role
from searchlab.study import trial_record as attr
from searchlab.study.locks.study_lock import StudyLock
from searchlab.study.plan import (
    PlannedTrial,
    choose_finalists,
    plan_baselines,
    plan_retry,
    plan_search,
)
from searchlab.study.space.study_space import StudySpace
from searchlab.study.storage.fencing import StaleTokenError
from searchlab.study.storage.retrying_storage import CREATED_BY
from searchlab.study.trial_record import TrialRecord

__all__ = ["TrialQueue", "owner_of"]

logger = logging.getLogger(__name__)

# A turn is lost with the lock's connection.
_MAX_TOKEN_LOSSES = 10


@dataclass(slots=True, kw_only=True)
class _Rows:
    """What the storage holds beside finished trials, and what has been planned of it."""

    orphans: deque[int]  # ids of RUNNING trials that nobody works on
    others: dict[int, Role]  # with another driver, by number
    num_waiting: int
    num_searched: int
    owed: deque[PlannedTrial]
    known: set[object]  # keys of planned trials that are there


class TrialQueue:
    """Decides what comes next, alone or with other drivers of the same study.

    With others (a shared lock) every decision begins by reading what they did, and only one
    driver decides at a time, so that the budget is exact and no baseline runs twice.
    """

    def __init__(
        self, *, spec: StudySpec, space: StudySpace, study: Study, lock: StudyLock
    ) -> None:
        self._spec = spec
        self._study = study
        self._lock = lock
        self._started_at = time.monotonic()
        self.records: dict[int, TrialRecord] = {}
        self._news: list[TrialRecord] = []
        self._all_baselines = plan_baselines(spec, space)
        self.planned_search = plan_search(spec)
        self._rows = self._read(live=())
        self._baselines = self._not_known(self._all_baselines)
        self._search = self._not_known(self.planned_search or ())
        self._finalists: deque[PlannedTrial] | None = None
        self.num_finalists: int | None = None  # in all, once they are chosen

    # What comes next

    def take_next(self, live: Mapping[int, Role]) -> Trial | None:
        """Return the next trial, RUNNING and ours, or None; ``live`` are those that we have.

        Raises StaleTokenError where other drivers take this one's turn again and again.
        """
        turns_left = _MAX_TOKEN_LOSSES
        while True:
            turns_left -= 1
            try:
                with self._lock.deciding():
                    if self._lock.shared:
                        self._refresh(live)
                    return self._take(live)
            except StaleTokenError:
                if not turns_left:
                    raise
                logger.info("another driver decided meanwhile; deciding anew")

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
        return self._take_search() or self._take_finalist(live)

    def _adopt(self, trial_id: int) -> Trial:
        logger.debug("taking up the unfinished trial of id %d", trial_id)
        return self._own(Trial(self._study, trial_id))

    def _own(self, trial: Trial) -> Trial:
        """Note that a trial is this driver's; one that was made by it says so already."""
        origin = trial._cached_frozen_trial.system_attrs.get(CREATED_BY)
        if owner_of(origin) != self._lock.driver:
            self._study._storage.set_trial_system_attr(
                trial._trial_id, CREATED_BY, f"{self._lock.driver}/adopted-{trial.number}"
            )
        return trial

    def _take_search(self) -> Trial | None:
        if self.is_search_over:
            return None
        if self.planned_search is not None:
            return self._ask_planned(self._search.popleft())
        self._rows.num_searched += 1
        return self._own(self._study.ask())

    @property
    def is_search_over(self) -> bool:
        """Whether no more search trials are to be begun."""
        timeout = self._spec.search.timeout
        if timeout is not None and time.monotonic() - self._started_at >= timeout:
            return True
        if self.planned_search is not None:
            return not self._search
        assert self._spec.search.trials is not None
        return self._rows.num_searched >= self._spec.search.trials

    def _take_finalist(self, live: Mapping[int, Role]) -> Trial | None:
        if self._finalists is None:
            at_work = [*live.values(), *self._rows.others.values()]
            if "search" in at_work:
                return None  # one of them may yet be a finalist
            self._finalists = self._choose_finalists()
            ended = sum(
                record.role == "finalist" and not record.is_replaced
                for record in self.records.values()
            )
            self.num_finalists = len(self._finalists) + ended + at_work.count("finalist")
        return self._ask_planned(self._finalists.popleft()) if self._finalists else None

    def _choose_finalists(self) -> deque[PlannedTrial]:
        points = {number: dict(record.params) for number, record in self.records.items()}
        chosen = choose_finalists(self._spec, self.records.values(), points)  # type: ignore[arg-type]
        return self._not_known(chosen)

    def _ask_planned(self, planned: PlannedTrial) -> Trial:
        self._study.enqueue_trial(planned.point, user_attrs=planned.user_attributes())
        trial = self._study.ask()
        if trial._cached_frozen_trial.user_attrs.get(attr.PLAN) != planned.key:
            self._rows.num_waiting += 1  # somebody else enqueued one before; ours is the next
        self._rows.known.add(planned.key)
        return self._own(trial)

    def _not_known(self, planned: Iterable[PlannedTrial]) -> deque[PlannedTrial]:
        return deque(item for item in planned if item.key not in self._rows.known)

    # What happened

    def give_back(self, trial: Trial) -> None:
        """A trial of ours is to be taken once more, before anything new."""
        self._rows.orphans.append(trial._trial_id)

    def note_end(self, record: TrialRecord) -> None:
        """A trial of ours ended; one that was lost is owed another."""
        self.records[record.number] = record
        if record.is_replaced:
            self._rows.owed.append(plan_retry(record))

    def take_news(self) -> list[TrialRecord]:
        """Return the trials that ended since the last call, other than by ``note_end``."""
        news, self._news = self._news, []
        return news

    @property
    def waits_for_others(self) -> bool:
        """Whether another driver's trials must end before this study has."""
        return bool(self._rows.others)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be taken."""
        rows = self._rows
        return (
            not (rows.orphans or rows.others or rows.num_waiting or rows.owed or self._baselines)
            and self.is_search_over
            and self._finalists is not None
            and not self._finalists
        )

    # What the storage holds

    def _refresh(self, live: Iterable[int]) -> None:
        self._rows = self._read(live)
        self._baselines = self._not_known(self._all_baselines)
        self._search = self._not_known(self.planned_search or ())
        self._finalists = None

    def _read(self, live: Iterable[int]) -> _Rows:
        trials = self._study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self.records:
                record = TrialRecord.from_trial(trial)
                self.records[trial.number] = record
                self._news.append(record)
        ours = set(live)
        running = [
            trial
            for trial in trials
            if trial.state == TrialState.RUNNING and trial.number not in ours
        ]
        others = {trial.number: _role(trial) for trial in running if self._is_anothers(trial)}
        return _Rows(
            orphans=deque(trial._trial_id for trial in running if trial.number not in others),
            others=others,
            num_waiting=sum(trial.state == TrialState.WAITING for trial in trials),
            num_searched=sum(
                _role(trial) == "search" and attr.RETRY_OF not in trial.user_attrs
                for trial in trials
            ),
            owed=_find_owed(trials, self.records.values()),
            known={trial.user_attrs.get(attr.PLAN) for trial in trials},
        )

    def _is_anothers(self, trial: FrozenTrial) -> bool:
        """Whether a driver that is alive works on a trial that we do not have."""
        if not self._lock.shared:
            return False
        owner = owner_of(trial.system_attrs.get(CREATED_BY))
        return owner is not None and owner != self._lock.driver and self._lock.is_alive(owner)


def owner_of(origin: str | None) -> str | None:
    """Return the driver that a trial's origin names."""
    return None if origin is None else origin.rpartition("/")[0]


def _find_owed(
    trials: Sequence[FrozenTrial], records: Iterable[TrialRecord]
) -> deque[PlannedTrial]:
    """List the retries that lost trials still await: each is enqueued once, whoever was killed."""
    paid = {trial.user_attrs.get(attr.RETRY_OF) for trial in trials}
    return deque(
        plan_retry(record)
        for record in sorted(records, key=lambda record: record.number)
        if record.is_replaced and record.number not in paid
    )


def _role(trial: FrozenTrial) -> Role:
    role: Role = trial.user_attrs.get(attr.ROLE, "search")
    return role
