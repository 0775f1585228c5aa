"""The ledger: asks, records and tells; the only thing that touches the storage.

The engines are thin: they take a TrialConfig from ``ask``, hand every EpochResult to ``report``
and end each trial with ``tell``. The ledger decides, once for all engines, what runs next (by its
TrialQueue), which trials are pruned, and in which state each trial ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import Trial, TrialState

from searchlab.config.trial import TrialConfig
from searchlab.records import trial_record as attr
from searchlab.records.locks.drivers import SoleDriver, StudyLock
from searchlab.records.optuna_internals import frozen_of
from searchlab.records.trial_record import CREATED_BY, TrialRecord, owner_of
from searchlab.study.callbacks import (
    NullCallback,
    ProgressSnapshot,
    StudyBegin,
    StudyCallback,
    StudyEnd,
)
from searchlab.study.failure_limit import FailureLimit
from searchlab.study.live_trial import LiveTrial, params_together, read_interruptions
from searchlab.study.outcome import TrialOutcome, fail
from searchlab.study.plan import PORTFOLIO, StudyPlan
from searchlab.study.progress import StudyProgress
from searchlab.study.start_text import describe_start
from searchlab.study.trained_folds import take_over_folds
from searchlab.study.trial_config import label_of, make_config
from searchlab.study.trial_events import (
    describe_begin,
    describe_end,
    describe_epoch,
    describe_epochs,
    read_ended,
)
from searchlab.study.trial_queue import TrialQueue
from searchlab.training.results import EpochResult

__all__ = ["Ledger"]

logger = logging.getLogger(__name__)

# A trial that restarts this often without finishing an epoch kills its workers or drivers. The
# loss of a host is noticed after a minute, and until then new workers may be sent there.
_MAX_RESTARTS_WITHOUT_PROGRESS = 10


class Ledger:
    """Runs one study: baselines, then the search, the finalists and the confirmations.

    Every run of a study makes a new ledger, which goes on from what the storage holds: ``ask``
    first returns the trials that a killed driver left RUNNING, under their own numbers.
    """

    def __init__(
        self,
        *,
        plan: StudyPlan,
        study: Study,
        checkpoints: Path,
        callback: StudyCallback | None = None,
        lock: StudyLock | None = None,
    ) -> None:
        self.spec = spec = plan.spec
        self._space = plan.space
        self._study = study
        self._checkpoints = checkpoints
        self._callback = callback or NullCallback()
        self._lock = lock or SoleDriver()
        self._live: dict[int, LiveTrial] = {}
        self._stopping = False
        self._has_told_lead = False
        self._failure_limit = FailureLimit(spec.search.max_failures_in_row)
        self._queue = TrialQueue(plan=plan, study=study, lock=self._lock)
        self._progress = StudyProgress(spec=spec, finished=self._queue.finished)
        self._record_progress(finished=False)
        begin = StudyBegin(spec=spec, read_ended=partial(read_ended, study, spec))
        self._callback.begin_study(begin, self.snapshot())
        if start := self._queue.start:
            self._callback.announce(describe_start(start))

    # What comes next

    def ask(self) -> TrialConfig | None:
        """Return the next trial to train, or None if there is none now."""
        while not self._stopping:
            self._lock.check()
            trial = self._queue.take_next({number: t.role for number, t in self._live.items()})
            self._announce_lead()
            if trial is None:
                return None
            config = self._begin(trial)
            if config is not None:
                return config
        return None

    def _begin(self, trial: Trial) -> TrialConfig | None:
        """Draw a trial's parameters and make the configuration that a worker trains.

        If that cannot be done, the trial fails and None is returned; if an earlier driver had
        begun the trial, another one replaces it. Raises as ``tell``.
        """
        frozen = frozen_of(trial)  # suggesting adds to it
        known = dict(frozen.user_attrs)
        was_begun = bool(frozen.params)
        was_trained = attr.last_epoch_of(frozen) > 0
        interruptions = read_interruptions(frozen, driver=self._lock.driver)
        if interruptions.restarts_without_progress > _MAX_RESTARTS_WITHOUT_PROGRESS:
            times = _MAX_RESTARTS_WITHOUT_PROGRESS
            self._fail(trial, fail(f"the trial restarted {times} times and ended no epoch", "lost"))
            return None
        try:
            with params_together(trial):
                point = self._space.suggest(trial)
            config = make_config(self.spec, point, number=trial.number, known=known)
            config = take_over_folds(self._study, config, known)
        except ValueError as error:
            lost = fail(f"the trial cannot be taken up again: {error}", "lost")
            self._fail(trial, lost if was_begun else fail(str(error)))
            return None
        has_scheme = f"{config.model.family}.scheme" in point
        # A baseline keeps the name that it was planned under.
        label = known.get(attr.LABEL) or label_of(config.model, with_scheme=has_scheme)
        live = LiveTrial(
            trial=trial,
            config=config,
            label=label,
            last_known_step=attr.last_epoch_of(frozen),
            interruptions=interruptions,
            is_proven=str(known.get(attr.PLAN)).startswith(PORTFOLIO),
        )
        self._progress.forecaster.count_begin(trial.number)
        live.record_begin(known)
        self._live[trial.number] = live
        self._announce_taken_over(live, owner_of(frozen.system_attrs.get(CREATED_BY)))
        record = TrialRecord.from_trial(frozen)
        known_as = self._find_result(record) if attr.SAME_AS in known or not was_trained else None
        self._callback.begin_trial(describe_begin(replace(record, same_as=known_as)))
        self._callback.advance(self.snapshot())
        if known_as is None:
            return config
        self._answer_from_record(live, known_as)
        return None

    def _announce_lead(self) -> None:
        """Say once why the search ends before its budget."""
        lead = self._queue.lead
        if lead is not None and not self._has_told_lead:
            self._has_told_lead = True
            self._callback.announce(lead.describe(self.spec))

    def _find_result(self, record: TrialRecord) -> int | None:
        """Return the search trial that has trained what this one is to train.

        The same configuration has the same draws, and so the same result (docs/design.md, decision
        7), whatever the number of the trial.
        """
        return None if record.role != "search" else self._queue.finished.find_result(record.params)

    def _answer_from_record(self, live: LiveTrial, number: int) -> None:
        """End a trial with the result of an earlier one of the same configuration."""
        [earlier] = (one for one in self._study.get_trials(deepcopy=False) if one.number == number)
        self._callback.announce(
            f"#{live.config.number} {live.label}: has the configuration of #{number}, and so its "
            "result; it is not trained again"
        )
        for epoch in describe_epochs(earlier, self.spec):
            self._callback.end_epoch(replace(epoch, number=live.config.number, seconds=0.0))
        is_complete = earlier.state == TrialState.COMPLETE
        outcome = TrialOutcome(
            state="COMPLETE" if is_complete else "PRUNED",
            reason=earlier.user_attrs.get(attr.STOP_REASON),
        )
        self._live.pop(live.config.number)
        values = earlier.values if is_complete else None
        self._finish(live, outcome, values, lambda: live.record_result_of(earlier))

    def _announce_taken_over(self, live: LiveTrial, owner: str | None) -> None:
        """Say what becomes of a trial that another of several drivers had begun."""
        if not self._lock.shared or owner in (None, self._lock.driver) or not live.last_known_step:
            return
        from searchlab.training.checkpoint import has_checkpoint  # torch

        number = live.config.number
        how = (
            "goes on from its last checkpoint"
            if has_checkpoint(self._checkpoints, number)
            else "starts anew, because its checkpoints are in that driver's run folder"
        )
        self._callback.announce(f"#{number} {live.label}: the driver {owner} is gone; it {how}")

    def _fail(self, trial: Trial, outcome: TrialOutcome) -> None:
        """End a trial that no worker gets."""
        logger.warning("trial %d failed: %s", trial.number, outcome.error)
        trial.set_user_attr(attr.STOP_REASON, outcome.reason)
        trial.set_user_attr(attr.ERROR, outcome.error)
        self._failure_limit.note(self._end(trial, outcome))

    # What happened

    def report(self, result: EpochResult) -> bool:
        """Record an epoch; return whether the trial should stop: pruned, or not ours any more.

        A result delivered again (a restarted worker replays its epochs), or of a trial that has
        ended, changes nothing. Raises InfrastructureError once another driver has the study.
        """
        self._lock.check()
        live = self._live.get(result.number)
        if live is None or not live.add(result) or result.diverged:
            return False
        # The pruner decided on the epochs before the last known one; a driver may have been killed
        # before it decided on that one.
        is_decided = result.epoch < live.last_known_step
        try:
            live.record_epoch(result)
            if live.may_be_pruned and not result.done and not is_decided:
                live.pruned = live.trial.should_prune()
        except UpdateFinishedTrialError:
            self._let_go(live)
            return True
        if not result.replayed:
            self._progress.forecaster.count_epoch(
                result.number, result.seconds, num_running=len(self._live)
            )
        search_folds = self.spec.validation.search_folds
        self._callback.end_epoch(describe_epoch(live.role, result, search_folds=search_folds))
        self._callback.advance(self.snapshot())
        return live.pruned

    def _let_go(self, live: LiveTrial) -> None:
        """Another driver thought that this one was dead, and took the trial over."""
        logger.warning("another driver took trial %d over", live.config.number)
        self._live.pop(live.config.number, None)

    def note_worker_lost(self, number: int, what: str) -> None:
        """A trial's worker died: ``ask`` returns it again, to go on from its last checkpoint.

        A trial is lost if its workers die again and again without an epoch between. Raises as
        ``tell``.
        """
        self._lock.check()
        live = self._live.get(number)
        if live is None:
            return
        if not live.is_owned_by(self._lock.driver):
            self._let_go(live)
            return
        live.count_worker_lost()
        live.record_interruptions()
        if live.interruptions.restarts_without_progress >= _MAX_RESTARTS_WITHOUT_PROGRESS:
            self.tell(
                number,
                fail(f"{what}, as on all of {_MAX_RESTARTS_WITHOUT_PROGRESS} workers", "lost"),
            )
            return
        del self._live[number]
        self._queue.give_back(number)
        self._callback.announce(
            f"#{number} {live.label}: {what}; it goes on from its last checkpoint"
        )

    def note_host_lost(self, host: str) -> None:
        """A host left the cluster, with the workers on it."""
        lost = [*self._study.user_attrs.get(attr.HOSTS_LOST, ()), host]
        self._study.set_user_attr(attr.HOSTS_LOST, lost)
        self._callback.announce(f"host {host} was lost; its trials go on elsewhere")

    def tell(
        self, number: int, failure: TrialOutcome | None = None, *, node: str | None = None
    ) -> None:
        """End a trial in its one honest state; one that has ended stays as it is.

        ``failure`` says why it failed; without it, the trial's last result decides how it ended.
        Raises InfrastructureError once too many trials in a row failed for the same cause, or
        another driver has the study.
        """
        self._lock.check()
        live = self._live.pop(number, None)
        if live is None:
            return
        outcome, values = live.decide_end(self.spec.objective, failure)
        self._finish(live, outcome, values, lambda: live.record_end(outcome, node=node))

    def _finish(
        self,
        live: LiveTrial,
        outcome: TrialOutcome,
        values: list[float] | None,
        record_end: Callable[[], None],
    ) -> None:
        with self._lock.deciding():
            if not live.is_owned_by(self._lock.driver):
                self._let_go(live)
                return
            try:
                record_end()
                record = self._end(live.trial, outcome, values)
            except UpdateFinishedTrialError:
                self._let_go(live)
                return
        self._progress.forecaster.count_end()
        self._delete_checkpoint(record.number)
        self._callback.end_trial(describe_end(record, self.spec), self.snapshot())
        self._failure_limit.note(record)

    def _end(
        self, trial: Trial, outcome: TrialOutcome, values: list[float] | None = None
    ) -> TrialRecord:
        frozen = self._study.tell(trial, values, state=TrialState[outcome.state])
        record = TrialRecord.from_trial(frozen)
        self._queue.note_end(record)
        return record

    def _delete_checkpoint(self, number: int) -> None:
        from searchlab.training.checkpoint import forget_checkpoints  # torch

        forget_checkpoints(self._checkpoints, number)

    # Where the study stands

    def stop(self) -> None:
        """Ask for no more trials. Those that are live stay RUNNING, for ``resume`` to take up."""
        self._stopping = True
        self._callback.advance(self.snapshot())

    def begin_phase(self, what: str) -> None:
        """Tell the callback what is done before the first trial."""
        self._callback.begin_phase(what)

    def announce(self, message: str) -> None:
        """Tell the callback something that is worth a line."""
        self._callback.announce(message)

    @property
    def is_finished(self) -> bool:
        """Return whether every trial of the study has ended."""
        return not self._live and self._queue.is_done

    @property
    def is_waiting(self) -> bool:
        """Return whether running trials, here or elsewhere, must end before ``ask`` has one."""
        return bool(self._live) or self._queue.waits_for_others

    @property
    def records(self) -> list[TrialRecord]:
        """Return the finished trials, by number."""
        return list(self._queue.finished)

    def snapshot(self, *, stopping: bool | None = None) -> ProgressSnapshot:
        """Return where the study stands, for callbacks."""
        return self._progress.snapshot(
            totals=self._queue.totals,
            running=[live.describe() for live in self._live.values()],
            stopping=self._stopping if stopping is None else stopping,
        )

    def close(self) -> None:
        """Tell the callback that no more trials run, whether or not all have."""
        is_finished = self.is_finished
        end = StudyEnd(spec=self.spec, records=tuple(self.records), is_finished=is_finished)
        self._callback.end_study(end, self.snapshot(stopping=not is_finished))

    def note_finished(self) -> None:
        """Record that the study is finished, what is measured after its trials included."""
        assert self.is_finished
        self._record_progress(finished=True)

    def _record_progress(self, *, finished: bool) -> None:
        progress = {"finished": finished, "totals": self._queue.totals}
        self._study.set_user_attr(attr.PROGRESS, progress)
