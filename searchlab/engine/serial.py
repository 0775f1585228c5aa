"""The serial engine: trials one after another in this process. For tests and debugging."""

from __future__ import annotations

import logging
import time

from searchlab.config.trial import TrialConfig
from searchlab.engine.devices import choose_device
from searchlab.engine.stopping import StopRequest
from searchlab.errors import InfrastructureError
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.training.failures import describe_failure
from searchlab.training.images import TrainingData
from searchlab.training.process import repeatable
from searchlab.training.run import TrialFolders, TrialRun

__all__ = ["run_serially"]

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0  # for trials of other drivers to end


def run_serially(
    ledger: Ledger, prepared: PreparedStudy, folders: TrialFolders, stop: StopRequest
) -> None:
    """Run the ledger's trials until it is finished or a stop is asked for."""
    with repeatable(max(1, int(prepared.spec.resources.cpus))):
        # Whatever number is asked for: it is not refused for want of a GPU, as workers are.
        device = choose_device("auto" if prepared.spec.resources.gpus else 0)
        data = TrainingData.from_images(prepared.images, prepared.folds, device)
        _run_trials(ledger, data, folders, stop)
    if stop.is_made:
        ledger.stop()


def _run_trials(
    ledger: Ledger, data: TrainingData, folders: TrialFolders, stop: StopRequest
) -> None:
    while not stop.is_made:
        config = ledger.ask()
        if config is not None:
            _run_trial(config, ledger, data, folders, stop)
        elif ledger.is_waiting:
            time.sleep(_POLL_SECONDS)
        else:
            return


def _run_trial(
    config: TrialConfig,
    ledger: Ledger,
    data: TrainingData,
    folders: TrialFolders,
    stop: StopRequest,
) -> None:
    trial: TrialRun | None = None
    while not stop.is_made:
        try:
            trial = trial or TrialRun(config, data, folders)
            result = trial.step()
        except Exception as error:  # as a worker does: whatever it was goes on record
            failure = describe_failure(error)
            if failure.kind == "disk":  # the next trial would fare no better; this one stays
                raise InfrastructureError(
                    f"trial {config.number} could not write: {failure.message}"
                ) from error
            if failure.kind == "device":  # nor in this process; a fresh one takes the trial up
                raise InfrastructureError(
                    f"the GPU failed under trial {config.number}: {failure.message}"
                ) from error
            logger.exception("trial %d failed", config.number)
            ledger.tell(config.number, fail(failure.message, failure.kind))
            return
        if ledger.report(result) or result.done:
            ledger.tell(config.number)
            return
    if trial is not None:
        trial.save()
