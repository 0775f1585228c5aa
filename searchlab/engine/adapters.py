"""The two thin adapters between Ray Tune and the ledger, and what ends an experiment early."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import ray
from ray.tune import Stopper
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from searchlab.engine.stopping import StopRequest
from searchlab.study.ledger import Ledger
from searchlab.training.results import EpochResult

__all__ = ["GraceStopper", "LedgerScheduler", "LedgerSearcher"]

logger = logging.getLogger(__name__)

_LOST_WORKERS = "WorkerLostError: the worker died, as did those that tried again"


class _Unpickled:
    """Kept out of Tune's snapshots, which nothing here reads: the ledger holds a database."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (object, ())


class LedgerSearcher(_Unpickled, Searcher):  # type: ignore[misc]  # Ray ships no types
    """Asks the ledger for trials and tells it how they ended."""

    def __init__(self, ledger: Ledger, stop: StopRequest) -> None:
        super().__init__(metric=None, mode=None)
        self._ledger = ledger
        self._stop = stop
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
        if self._stop.is_made:
            return str(Searcher.FINISHED)
        config = self._ledger.ask()
        if config is None:
            return None if self._ledger.num_live else str(Searcher.FINISHED)
        self.numbers[trial_id] = config.number
        return {"trial": config.to_json()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """The scheduler has seen it."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the ledger. A final result comes here only; a pruned trial's last comes again."""
        number = self.numbers.pop(trial_id, None)
        if number is None:
            return
        if error or result is None:
            self._ledger.tell(number, error=_LOST_WORKERS)
        elif "error" in result:
            self._ledger.tell(number, error=str(result["error"]))
        else:
            self._ledger.report(_read(result))
            self._ledger.tell(number)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the storage holds it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a study is resumed from its storage."""

    def save_to_dir(self, *args: Any, **kwargs: Any) -> None:
        """Nothing, as ``save``."""


class LedgerScheduler(_Unpickled, TrialScheduler):  # type: ignore[misc]
    """Hands every epoch to the ledger and stops the trials that it prunes."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.live: dict[str, Any] = {}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial is about to run, for the first time or once more after its worker died."""
        self.live[trial.trial_id] = trial

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Record the epoch; stop the trial if it is pruned."""
        pruned = self.ledger.report(_read(result))
        return str(TrialScheduler.STOP if pruned else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """The searcher tells."""
        self.live.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A worker died; Tune starts the trial again while it has retries left."""
        logger.warning("the worker of trial %s died", trial.trial_id)
        self.live.pop(trial.trial_id, None)

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
        self, scheduler: LedgerScheduler, stop: StopRequest, marker: Path, grace_seconds: float
    ) -> None:
        self._scheduler = scheduler
        self._stop = stop
        self._marker = marker
        self._grace_seconds = grace_seconds
        self._ledger = scheduler.ledger
        self._epochs: dict[int, int] | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped here."""
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        """Called ten times a second."""
        if not self._stop.is_made:
            return False
        if self._epochs is None:
            self._ledger.stop()
            self._marker.parent.mkdir(parents=True, exist_ok=True)
            self._marker.touch()
            self._epochs = self._live_epochs()
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
