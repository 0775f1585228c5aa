"""The serial engine: one trial after another in this process. For tests and debugging."""

from __future__ import annotations

import logging
import time

from searchlab.config.trial import TrialConfig
from searchlab.engine.devices import choose_device
from searchlab.engine.session import RunSession
from searchlab.errors import InfrastructureError
from searchlab.study.outcome import fail
from searchlab.training.failures import describe_failure
from searchlab.training.images import TrainingData
from searchlab.training.memory import free_memory
from searchlab.training.process import repeatable
from searchlab.training.run import TrialRun

__all__ = ["run_serially"]

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0  # while other drivers' trials run


def run_serially(session: RunSession) -> None:
    """Run a session's trials until the study is finished or a stop is requested."""
    prepared = session.prepared
    # Unlike a worker, this process uses the CPU if there is no GPU, even if one is requested.
    device = choose_device("auto" if prepared.spec.resources.gpus else 0)
    with repeatable(max(1, int(prepared.spec.resources.cpus)), device):
        data = TrainingData.from_images(prepared.images, prepared.folds, device)
        _run_trials(session, data)
    if session.stop.is_made:
        session.ledger.stop()


def _run_trials(session: RunSession, data: TrainingData) -> None:
    while not session.stop.is_made:
        config = session.ledger.ask()
        if config is not None:
            _run_trial(config, session, data)
            if data.device.type == "cuda":  # models and their graphs refer to each other
                free_memory()
        elif session.ledger.is_waiting:
            time.sleep(_POLL_SECONDS)
        else:
            return


def _run_trial(config: TrialConfig, session: RunSession, data: TrainingData) -> None:
    ledger = session.ledger
    trial: TrialRun | None = None
    while not session.stop.is_made:
        try:
            trial = trial or TrialRun(config, data, session.folders)
            result = trial.step()
        except Exception as error:  # as in a worker, whatever it was is recorded
            failure = describe_failure(error)
            if failure.kind == "disk":  # the next trial would fail as well; this one can resume
                raise InfrastructureError(
                    f"trial {config.number} could not write its files: {failure.message}"
                ) from error
            if failure.kind == "device":  # so would the next; a new process can resume this one
                raise InfrastructureError(
                    f"the GPU failed under trial {config.number}: {failure.message}"
                ) from error
            logger.exception("trial %d failed", config.number)
            ledger.tell(config.number, fail(failure.message, failure.kind))
            return
        if ledger.report(result) or result.done:
            ledger.tell(config.number)
            return
    if trial is not None and session.stop.fault is None:
        trial.save()
