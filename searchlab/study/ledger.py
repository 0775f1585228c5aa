"""The ledger: asks, records and tells; the only thing that touches the storage (DESIGN 1 to 4).

The engines are thin: they take a TrialConfig from ``ask``, hand every EpochResult to ``report``
and end each trial with ``tell``. What runs next (the queue), what is pruned, and in which state a
trial ends is decided here, once, for all engines.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from searchlab.config.study import StudySpec
from searchlab.config.trial import Role, TrialConfig
from searchlab.errors import InputError
from searchlab.study import trial_record as attr
from searchlab.study.callbacks import NullCallback, Snapshot, StudyCallback, TrialEnd
from searchlab.study.configure import make_config
from searchlab.study.failure_limit import FailureLimit
from searchlab.study.live_trial import LiveTrial
from searchlab.study.locks.study_lock import SoleDriver, StudyLock
from searchlab.study.objective_values import objective_values
from searchlab.study.outcome import (
    TrialOutcome,
    decide_outcome,
    end_attributes,
    fail,
    learning_curves,
)
from searchlab.study.progress import StudyProgress
from searchlab.study.resolve import label_of
from searchlab.study.space.study_space import StudySpace
from searchlab.study.storage.retrying_storage import CREATED_BY
from searchlab.study.trial_queue import TrialQueue, owner_of
from searchlab.study.trial_record import Interruptions, TrialRecord
from searchlab.training.results import EpochResult

__all__ = ["Ledger"]

logger = logging.getLogger(__name__)

# A trial that was begun so often without an epoch's progress takes its worker or driver with it.
# A host that is gone is noticed after a minute; until then new workers may be sent there.
_MAX_RESTARTS_WITHOUT_PROGRESS = 10


class Ledger:
    """Runs one study: baselines, then the search, then the finalists.

    Made anew for every run of a study, it takes up from what the storage holds: trials left
    RUNNING by a killed driver are the first that ``ask`` returns, under their own numbers.
    """

    def __init__(
        self,
        *,
        spec: StudySpec,
        space: StudySpace,
        study: Study,
        checkpoints: Path,
        callback: StudyCallback | None = None,
        lock: StudyLock | None = None,
    ) -> None:
        self.spec = spec
        self._space = space
        self._study = study
        self._checkpoints = checkpoints
        self._callback = callback or NullCallback()
        self._lock = lock or SoleDriver()
        self._live: dict[int, LiveTrial] = {}
        self._stopping = False
        self._may_prune = len(spec.objective) == 1  # no pruner can weigh several objectives
        self._failure_limit = FailureLimit(spec.search.max_failures_in_row)
        self._queue = TrialQueue(spec=spec, space=space, study=study, lock=self._lock)
        self._progress = self._make_progress()
        self._note_progress(finished=False)
        self._callback.begin(self.snapshot())

    # What comes next

    def ask(self) -> TrialConfig | None:
        """Return the next trial to train, or None: nothing now, or nothing more."""
        while not self._stopping:
            self._lock.check()
            trial = self._queue.take_next({number: t.role for number, t in self._live.items()})
            self._progress.count_earlier(self._queue.take_news())
            if self._queue.num_finalists is not None:
                self._progress.totals["finalist"] = self._queue.num_finalists
            if trial is None:
                return None
            config = self._begin(trial)
            if config is not None:
                return config
        return None

    def _begin(self, trial: Trial) -> TrialConfig | None:
        """Settle a trial's parameters and make the configuration that a worker trains.

        Returns None, the trial failed, where that cannot be done; one that was begun before and
        cannot be taken up again is owed a retry. Raises as ``tell``.
        """
        frozen = trial._cached_frozen_trial  # as the storage holds it; suggesting adds to it
        known = dict(frozen.user_attrs)
        was_settled = bool(frozen.params)
        role: Role = known.get(attr.ROLE, "search")
        interruptions = self._read_interruptions(frozen)
        try:
            point = self._space.suggest(trial)
            config = make_config(
                self.spec, point, number=trial.number, role=role, plan_key=known.get(attr.PLAN)
            )
        except (ValueError, InputError) as error:
            if was_settled:
                self._fail(trial, "lost", f"the trial cannot be taken up again: {error}")
            else:
                self._fail(trial, "error", str(error))
            return None
        if interruptions.restarts_without_progress > _MAX_RESTARTS_WITHOUT_PROGRESS:
            times = _MAX_RESTARTS_WITHOUT_PROGRESS
            why = f"the trial was begun {times} times more and ended no epoch"
            self._fail(trial, "lost", why)
            return None
        has_scheme = f"{config.model.family}.scheme" in point
        # A baseline keeps the name that it was planned under.
        label = known.get(attr.LABEL) or label_of(config.model, with_scheme=has_scheme)
        for name, value in (
            (attr.ROLE, role),
            (attr.LABEL, label),
            (attr.SCHEME, config.model.scheme),
            # A driver may have been killed between these and the state that they speak of.
            (attr.STOP_REASON, None),
            (attr.ERROR, None),
        ):
            if known.get(name) != value:
                trial.set_user_attr(name, value)
        live = LiveTrial(
            trial=trial,
            config=config,
            role=role,
            label=label,
            last_known_step=attr.last_epoch_of(frozen),
            interruptions=interruptions,
        )
        live.store_interruptions()
        self._live[trial.number] = live
        self._progress.begin(live.describe())
        self._callback.advance(self.snapshot())
        return config

    def _read_interruptions(self, frozen: FrozenTrial) -> Interruptions:
        """Return what befell a trial before; one that has its label was with a driver already."""
        known = frozen.system_attrs.get(attr.INTERRUPTIONS)
        before = Interruptions.from_data(known) if known else Interruptions()
        is_new = attr.SCHEME not in frozen.user_attrs or not frozen.params
        if is_new or owner_of(frozen.system_attrs.get(CREATED_BY)) == self._lock.driver:
            return before
        epoch = attr.last_epoch_of(frozen)
        return Interruptions(
            taken_up=before.taken_up + 1,
            worker_lost=before.worker_lost,
            rerun_epochs=before.rerun_epochs,
            restarts_without_progress=0
            if epoch > before.epoch
            else before.restarts_without_progress + 1,
            epoch=epoch,
        )

    def _fail(self, trial: Trial, reason: str, error: str) -> None:
        """End a trial that no worker gets."""
        logger.warning("trial %d: %s", trial.number, error)
        trial.set_user_attr(attr.STOP_REASON, reason)
        trial.set_user_attr(attr.ERROR, error)
        record = TrialRecord.from_trial(self._study.tell(trial, state=TrialState.FAIL))
        self._queue.note_end(record)
        self._progress.count_earlier([record])
        self._failure_limit.note(record)

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
        try:
            live.record_epoch(result)
            # At a step before the last known one the trial was judged already; at the last known
            # one the driver may have been killed before it came to judging.
            judged = result.epoch < live.last_known_step
            if live.role == "search" and not result.done and not judged and self._may_prune:
                live.pruned = live.trial.should_prune()
        except UpdateFinishedTrialError:
            self._let_go(live)
            return True
        self._progress.advance(live.describe())
        self._callback.advance(self.snapshot())
        return live.pruned

    def _let_go(self, live: LiveTrial) -> None:
        """Another driver took us for dead, and the trial for its own."""
        number = live.config.number
        logger.warning("trial %d was taken over by another driver", number)
        self._live.pop(number, None)
        self._progress.forget(number)

    def note_worker_lost(self, number: int, what: str) -> None:
        """A trial's worker died: ``ask`` returns it again, to go on from its last checkpoint.

        One whose workers die again and again, with no epoch between, is lost. Raises as ``tell``.
        """
        self._lock.check()
        live = self._live.get(number)
        if live is None:
            return
        if not self._is_still_ours(live):
            self._let_go(live)
            return
        live.count_worker_lost()
        live.store_interruptions()
        if live.interruptions.restarts_without_progress >= _MAX_RESTARTS_WITHOUT_PROGRESS:
            self.tell(
                number,
                fail(f"{what}, as on all of {_MAX_RESTARTS_WITHOUT_PROGRESS} workers", "lost"),
            )
            return
        del self._live[number]
        self._progress.forget(number)
        self._queue.give_back(live.trial)
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
        """End a trial in its one honest state (DESIGN 3); one that has ended stays as it is.

        ``failure`` says what made it fail; without one, its last result tells how it ended.
        Raises InfrastructureError once too many trials in a row failed for one cause, or another
        driver has the study.
        """
        self._lock.check()
        live = self._live.pop(number, None)
        if live is None:
            return
        outcome, values = self._value(
            live, failure or decide_outcome(live.last, pruned=live.pruned)
        )
        with self._lock.deciding():
            if not self._is_still_ours(live):
                self._let_go(live)
                return
            try:
                self._write_end(live, outcome, node)
                frozen = self._study.tell(live.trial, values, state=TrialState[outcome.state])
            except UpdateFinishedTrialError:
                self._let_go(live)
                return
        self._forget_checkpoint(number)
        record = TrialRecord.from_trial(frozen)
        self._queue.note_end(record)
        self._note_end(live, record)
        self._failure_limit.note(record)

    def _value(
        self, live: LiveTrial, outcome: TrialOutcome
    ) -> tuple[TrialOutcome, list[float] | None]:
        """Return what a complete trial is worth; one without a finite value is not complete.

        Optuna would take an infinite value for COMPLETE, and the best.
        """
        if outcome.state != "COMPLETE":
            return outcome, None
        search_folds = self.spec.validation.search_folds
        values = objective_values(self.spec.objective, live.results, search_folds=search_folds)
        if all(map(math.isfinite, values)):
            return outcome, values
        return TrialOutcome(state="PRUNED", reason="diverged"), None

    def _is_still_ours(self, live: LiveTrial) -> bool:
        """Whether no other driver took us for dead and the trial for its own."""
        frozen = self._study._storage.get_trial(live.trial._trial_id)
        owner = owner_of(frozen.system_attrs.get(CREATED_BY))
        return owner == self._lock.driver and not frozen.state.is_finished()

    def _write_end(self, live: LiveTrial, outcome: TrialOutcome, node: str | None) -> None:
        attributes = end_attributes(
            live.results, outcome, search_folds=self.spec.validation.search_folds
        )
        if node is not None:
            attributes[attr.NODE] = node
        for name, content in attributes.items():
            live.trial.set_user_attr(name, content)
        if live.results:
            self._study._storage.set_trial_system_attr(
                live.trial._trial_id, attr.CURVES, learning_curves(live.results)
            )
        live.store_interruptions()

    def _note_end(self, live: LiveTrial, record: TrialRecord) -> None:
        self._progress.end(record)
        last = live.last
        end = TrialEnd(
            number=record.number,
            role=live.role,
            label=live.label,
            state=record.state,
            value=record.value,
            epoch=0 if last is None else last.epoch,
            seconds=math.fsum(result.seconds for result in live.results.values()),
            reason=record.error or record.stop_reason,
            test_accuracy=None if last is None or last.test is None else last.test.accuracy,
        )
        self._callback.end_trial(end, self.snapshot())

    def _forget_checkpoint(self, number: int) -> None:
        from searchlab.training.checkpoint import forget_checkpoints  # torch

        forget_checkpoints(self._checkpoints, number)

    # Where it stands

    def stop(self) -> None:
        """Ask for no more trials. Those that are live stay RUNNING, for ``resume`` to take up."""
        self._stopping = True
        self._callback.advance(self.snapshot())

    def expect(self, seconds_per_model_epoch: float) -> float | None:
        """Return the seconds that are left at this pace; the epochs to come correct it."""
        self._progress.expect(seconds_per_model_epoch)
        return self.snapshot().remaining_seconds

    def announce(self, message: str) -> None:
        """Tell the callback something that is worth a line."""
        self._callback.announce(message)

    @property
    def is_finished(self) -> bool:
        """Whether every trial of the study has ended."""
        return not self._live and self._queue.is_done

    @property
    def is_waiting(self) -> bool:
        """Whether trials at work, here or with another driver, must end before ``ask`` has one."""
        return bool(self._live) or self._queue.waits_for_others

    @property
    def records(self) -> list[TrialRecord]:
        """The finished trials, by number."""
        records = self._queue.records
        return [records[number] for number in sorted(records)]

    def snapshot(self) -> Snapshot:
        """Return where the study stands, for callbacks."""
        return self._progress.snapshot(stopping=self._stopping)

    def close(self) -> None:
        """Tell the callback that no more trials run, whether or not all have."""
        self._callback.close(self._progress.snapshot(stopping=not self.is_finished))

    def note_finished(self) -> None:
        """Record that the study is finished, what is measured after its trials included."""
        assert self.is_finished
        self._note_progress(finished=True)

    def _note_progress(self, *, finished: bool) -> None:
        progress = {"finished": finished, "totals": dict(self._progress.totals)}
        self._study.set_user_attr(attr.PROGRESS, progress)

    def _make_progress(self) -> StudyProgress:
        planned = self._queue.planned_search
        num_search = self.spec.search.trials if planned is None else len(planned)
        totals: dict[Role, int] = {
            "baseline": len(self.spec.baseline_rows),
            "search": num_search or 0,
            "finalist": min(self.spec.confirm.top, num_search or 0),
        }
        progress = StudyProgress(spec=self.spec, totals=totals)
        progress.count_earlier(self._queue.take_news())
        return progress
