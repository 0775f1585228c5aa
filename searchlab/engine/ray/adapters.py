"""The two thin adapters between Ray Tune and the ledger, and the stopper of an experiment."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.tune import ProgressReporter, Stopper
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from searchlab.engine.ray.host_watch import HostWatch
from searchlab.engine.ray.worker_deaths import describe_death, is_killed_for_memory, read_death
from searchlab.engine.stopping import StopRequest
from searchlab.errors import InfrastructureError
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail
from searchlab.training.memory import note_killed_for_memory
from searchlab.training.results import EpochResult

__all__ = ["GraceStopper", "LedgerScheduler", "LedgerSearcher", "SilentReporter"]

logger = logging.getLogger(__name__)


class _Unpickled:
    """Stays out of Tune's snapshots: nobody reads them, and the ledger holds a database."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (object, ())


def _guarded(stop: StopRequest, call: Callable[[], Any], otherwise: Any) -> Any:
    """Call the ledger; an error stops the study and is raised again after Tune has ended.

    Tune would take it for a failure of the current trial.
    """
    if stop.fault is not None:
        return otherwise
    try:
        return call()
    except Exception as fault:
        logger.debug("the study is stopping", exc_info=True)
        stop.fail(fault)
        return otherwise


class LedgerSearcher(_Unpickled, Searcher):  # type: ignore[misc]  # Ray ships no types
    """Asks the ledger for trials and tells it how they ended and, on a cluster, on which host."""

    def __init__(self, ledger: Ledger, stop: StopRequest, *, has_hosts: bool = False) -> None:
        super().__init__(metric=None, mode=None)
        self.ledger = ledger
        self._stop = stop
        self._has_hosts = has_hosts
        self.numbers: dict[str, int] = {}

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Ignore them: the ledger knows its metric."""
        del metric, mode, config, spec
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial, None for "not now", or FINISHED."""
        # Tune blocks for minutes if nothing runs and it gets None. While other drivers' trials
        # run, None is right: Tune asks again every second.
        if self._stop.is_made:
            return str(Searcher.FINISHED)
        config = _guarded(self._stop, self.ledger.ask, None)
        if config is None:
            waits = self.ledger.is_waiting and not self._stop.is_made
            return None if waits else str(Searcher.FINISHED)
        self.numbers[trial_id] = config.number
        return {"trial": config.to_json()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Ignore it: the scheduler reports it."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the ledger how a trial ended.

        A final result comes only here; a pruned trial's last result comes here again. A worker that
        died left no result, and the scheduler has dealt with it.
        """
        number = self.numbers.pop(trial_id, None)
        if number is not None and result is not None and not error:
            _guarded(self._stop, lambda: self._end(number, result), None)

    def _end(self, number: int, result: dict[str, Any]) -> None:
        node = str(result.get("node_ip")) if self._has_hosts else None
        if "error" in result:
            self._fail(number, str(result["error"]), str(result["kind"]), node)
        else:
            self.ledger.report(_read(result))
            self.ledger.tell(number, node=node)

    def _fail(self, number: int, error: str, kind: str, node: str | None) -> None:
        if kind == "disk":  # the next trial would fail as well; this one can be resumed
            where = "" if node is None else f" on {node}"
            raise InfrastructureError(f"trial {number} could not write its files{where}: {error}")
        self.ledger.tell(number, fail(error, "oom" if kind == "oom" else "error"), node=node)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the storage holds everything."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a study is resumed from its storage."""

    def save_to_dir(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing, as ``save``."""


class LedgerScheduler(_Unpickled, TrialScheduler):  # type: ignore[misc]
    """Reports every epoch to the ledger and stops the trials that the ledger prunes."""

    def __init__(self, searcher: LedgerSearcher, stop: StopRequest, checkpoints: Path) -> None:
        self.ledger = searcher.ledger
        self.live: dict[str, Any] = {}
        self._numbers = searcher.numbers
        self._stop = stop
        self._checkpoints = checkpoints

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Note a trial; one whose worker died comes back under another of Tune's ids."""
        self.live[trial.trial_id] = trial

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Record the epoch; stop the trial if it is pruned."""
        pruned = _guarded(self._stop, lambda: self.ledger.report(_read(result)), False)
        return str(TrialScheduler.STOP if pruned else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Forget a trial; the searcher tells the ledger."""
        self.live.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Tell the ledger that a worker died; Tune forgets the trial, the ledger asks it again.

        Tune's own retries don't serve: a late message from a dead worker ends a trial that waits
        for its next worker, however many retries are left.
        """
        self.live.pop(trial.trial_id, None)
        number = self._numbers.get(trial.trial_id)
        if number is None or self._stop.is_made:
            return
        death = read_death(trial.error_file)
        _guarded(self._stop, lambda: self._note_death(number, death), None)

    def _note_death(self, number: int, death: str) -> None:
        if is_killed_for_memory(death):
            note_killed_for_memory(self._checkpoints, number)
        what = describe_death(death)
        logger.warning("trial %d: %s", number, what)
        self.ledger.note_worker_lost(number, what)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Forget a trial that was removed before it ran."""
        self.live.pop(trial.trial_id, None)

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Return None: Tune starts pending trials in order."""

    def debug_string(self) -> str:
        """Return nothing to show."""
        return ""


class GraceStopper(_Unpickled, Stopper):  # type: ignore[misc]
    """Ends the experiment after a stop request, as soon as all workers saved or time is up.

    Workers save their trial at the end of the current epoch. Then they are killed, because an
    actor that is asked to stop would first finish its current task, however long that takes.
    """

    def __init__(
        self,
        scheduler: LedgerScheduler,
        stop: StopRequest,
        marker: Path,
        grace_seconds: float,
        hosts: HostWatch | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._stop = stop
        self._marker = marker
        self._grace_seconds = grace_seconds
        self._ledger = scheduler.ledger
        self._hosts = hosts
        self._epochs: dict[int, int] | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: this stops no single trial."""
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        """Return whether the experiment ends now; Tune asks ten times a second."""
        if not self._stop.is_made:
            if self._hosts is not None:
                _guarded(self._stop, self._hosts.look, None)
            return False
        if self._epochs is None:
            self._ledger.stop()
            with suppress(OSError):  # a full disk is one of the reasons to stop
                self._marker.parent.mkdir(exist_ok=True)  # in the run folder, if that is there
                self._marker.touch()
            self._epochs = self._live_epochs()
        # After a fault no epoch is recorded any more, so workers get the whole time.
        if self._stop.age_seconds < self._grace_seconds and self._is_any_in_its_epoch():
            return False
        for trial in self._scheduler.live.values():
            actor = trial.temporary_state.ray_actor
            if actor is not None:
                ray.kill(actor)
        self._scheduler.live.clear()
        return True

    def _live_epochs(self) -> dict[int, int]:
        return {trial.number: trial.epoch for trial in self._ledger.snapshot().running}

    def _is_any_in_its_epoch(self) -> bool:
        assert self._epochs is not None
        now = self._live_epochs()
        return any(now.get(number) == epoch for number, epoch in self._epochs.items())


class SilentReporter(ProgressReporter):  # type: ignore[misc]
    """Reports nothing. In a notebook Tune's own clears all that is shown below the cell."""

    def should_report(self, trials: Any, done: bool = False) -> bool:
        """Return False."""
        del trials, done
        return False

    def report(self, trials: Any, done: bool, *sys_info: Any) -> None:
        """Do nothing."""


def _read(result: dict[str, Any]) -> EpochResult:
    return EpochResult.from_dict(json.loads(result["result"]))
