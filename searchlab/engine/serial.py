"""The serial engine: trials one after another in this process. For tests and debugging."""

from __future__ import annotations

import logging

import torch

from searchlab.engine.failures import describe_failure
from searchlab.engine.stopping import StopRequest
from searchlab.study.ledger import Ledger
from searchlab.study.preparation import PreparedStudy
from searchlab.training.images import TrainingData
from searchlab.training.run import TrialFolders, TrialRun

__all__ = ["run_serially"]

logger = logging.getLogger(__name__)


def run_serially(
    ledger: Ledger, prepared: PreparedStudy, folders: TrialFolders, stop: StopRequest
) -> None:
    """Run the ledger's trials until it is finished or a stop is asked for."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = TrainingData.from_images(prepared.images, prepared.folds, device)
    while not stop.is_made and (config := ledger.ask()) is not None:
        try:
            trial = TrialRun(config, data, folders)
            while not stop.is_made:
                result = trial.step()
                if ledger.report(result) or result.done:
                    ledger.tell(config.number)
                    break
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            logger.debug("trial %d failed", config.number, exc_info=True)
            ledger.tell(config.number, error=describe_failure(error))
    if stop.is_made:
        ledger.stop()
