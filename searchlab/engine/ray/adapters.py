"""The two thin adapters between Ray Tune and the ledger, and what ends an experiment early."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.tune import Stopper
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from searchlab.engine.ray.host_watch import HostWatch
from searchlab.engine.ray.lost_workers import describe_loss, is_killed_for_memory, read_loss
from searchlab.engine.stopping import StopRequest
from searchlab.errors import InfrastructureError
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail
from searchlab.training.memory import note_killed_for_memory
from searchlab.training.results import EpochResult

__all__ = ["GraceStopper", "LedgerScheduler", "LedgerSearcher"]

logger = logging.getLogger(__name__)


class _Unpickled:
    """Kept out of Tune's snapshots, which nothing here reads: the ledger holds a database."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (object, ())


def _guarded(stop: StopRequest, call: Callable[[], Any], otherwise: Any) -> Any:
    """Call the ledger; what it raises stops the study, and is raised where Tune has ended.

    Tune would take it for a failure of the trial that it is at, and try that again.
    """
    if stop.fault is not None:
        return otherwise
    try:
        return call()
    except Exception as fault:
        logger.debug("the study stops", exc_info=True)
        stop.fail(fault)
        return otherwise


class LedgerSearcher(_Unpickled, Searcher):  # type: ignore[misc]  # Ray ships no types
    """Asks the ledger for trials and tells it how they ended; on a cluster also where."""

    def __init__(self, ledger: Ledger, stop: StopRequest, *, has_hosts: bool = False) -> None:
        super().__init__(metric=None, mode=None)
        self.ledger = ledger
        self._stop = stop
        self._has_hosts = has_hosts
        self.numbers: dict[str, int] = {}

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Metric and mode are the ledger's business."""
        del metric, mode, config, spec
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial, None for "not now", or FINISHED."""
        # Tune blocks for minutes where nothing runs and nothing comes, so it must hear FINISHED.
        # With other drivers' trials to wait for that is as well: it asks again every second.
        if self._stop.is_made:
            return str(Searcher.FINISHED)
        config = _guarded(self._stop, self.ledger.ask, None)
        if config is None:
            waits = self.ledger.is_waiting and not self._stop.is_made
            return None if waits else str(Searcher.FINISHED)
        self.numbers[trial_id] = config.number
        return {"trial": config.to_json()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """The scheduler has seen it."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the ledger. A final result comes here only; a pruned trial's last comes again.

        Of a worker that died, without a result, the scheduler has heard before.
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
        if kind == "disk":  # the next trial would fare no better; this one stays to be resumed
            where = "" if node is None else f" on {node}"
            raise InfrastructureError(f"trial {number} could not write{where}: {error}")
        self.ledger.tell(number, fail(error, "oom" if kind == "oom" else "error"), node=node)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the storage holds it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a study is resumed from its storage."""

    def save_to_dir(self, *args: Any, **kwargs: Any) -> None:
        """Nothing, as ``save``."""


class LedgerScheduler(_Unpickled, TrialScheduler):  # type: ignore[misc]
    """Hands every epoch to the ledger and stops the trials that it prunes."""

    def __init__(self, searcher: LedgerSearcher, stop: StopRequest, checkpoints: Path) -> None:
        self.ledger = searcher.ledger
        self.live: dict[str, Any] = {}
        self._numbers = searcher.numbers
        self._stop = stop
        self._checkpoints = checkpoints

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial is about to run; one whose worker died comes again under another id of Tune's."""
        self.live[trial.trial_id] = trial

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Record the epoch; stop the trial if it is pruned."""
        pruned = _guarded(self._stop, lambda: self.ledger.report(_read(result)), False)
        return str(TrialScheduler.STOP if pruned else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """The searcher tells."""
        self.live.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A worker died; the ledger gives the trial out again, so Tune is to forget it.

        Tune's own retries will not do: what it hears of a dead worker while the trial waits for
        another ends the trial, however many retries are left.
        """
        self.live.pop(trial.trial_id, None)
        number = self._numbers.get(trial.trial_id)
        if number is None or self._stop.is_made:
            return
        loss = read_loss(trial.error_file)
        _guarded(self._stop, lambda: self._note_lost(number, loss), None)

    def _note_lost(self, number: int, loss: str) -> None:
        if is_killed_for_memory(loss):
            note_killed_for_memory(self._checkpoints, number)
        what = describe_loss(loss)
        logger.warning("trial %d: %s", number, what)
        self.ledger.note_worker_lost(number, what)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """A trial was taken out before it ran."""
        self.live.pop(trial.trial_id, None)

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Tune starts pending trials in order by itself."""

    def debug_string(self) -> str:
        """Say nothing."""
        return ""


class GraceStopper(_Unpickled, Stopper):  # type: ignore[misc]
    """Ends the experiment when a stop was asked for, once every worker saved or had its time.

    Workers save their trial at the end of the epoch they are in. Then they are killed: an actor
    that is asked to stop would first finish what it is at, however long.
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
        """No single trial is stopped here."""
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        """Called ten times a second."""
        if not self._stop.is_made:
            if self._hosts is not None:
                _guarded(self._stop, self._hosts.attend, None)
            return False
        if self._epochs is None:
            self._ledger.stop()
            with suppress(OSError):  # a full disk is one of the reasons to stop
                self._marker.parent.mkdir(parents=True, exist_ok=True)
                self._marker.touch()
            self._epochs = self._live_epochs()
        # After a fault no epoch is recorded any more, so each worker gets the whole time.
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


def _read(result: dict[str, Any]) -> EpochResult:
    return EpochResult.from_dict(json.loads(result["result"]))
