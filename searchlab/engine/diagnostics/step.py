"""The step after a study's trials that measures what its report needs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator

from searchlab.config.diagnostics import DIAGNOSTICS, DiagnosticName
from searchlab.engine.diagnostics.copies import plan_copies
from searchlab.engine.diagnostics.ensemble import plan_ensemble
from searchlab.engine.diagnostics.errors import plan_errors
from searchlab.engine.diagnostics.files import DiagnosticFiles, Measured
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.labels import plan_labels
from searchlab.engine.diagnostics.networks import plan_networks
from searchlab.engine.diagnostics.robustness import plan_robustness
from searchlab.engine.diagnostics.tasks import (
    Skipped,
    StoppedError,
    Task,
    TooCostlyError,
    skipped_key,
)
from searchlab.training.failures import describe_failure

__all__ = ["diagnose"]

logger = logging.getLogger(__name__)


def _plan_errors(finished: FinishedStudy) -> Iterator[Task]:
    """Look at the errors of the models, then at those of the data."""
    yield from plan_errors(finished)
    yield from plan_labels(finished)
    yield from plan_copies(finished)


_PLANS: dict[DiagnosticName, Callable[[FinishedStudy], Iterable[Task]]] = {
    "errors": _plan_errors,
    "networks": plan_networks,
    "robustness": plan_robustness,
    "ensemble": plan_ensemble,
}
"""Each may raise TooCostlyError, with the reason as a sentence, if it is not asked for by name.

The tasks that it yielded before are measured."""


def diagnose(finished: FinishedStudy) -> None:
    """Measure and keep what the study asks for, except what is kept already.

    A task that cannot be measured is skipped with a warning, because no trial is still to come.
    After a stop none is begun. Raises OSError if a result cannot be written.
    """
    files = DiagnosticFiles(finished.run.diagnostics)
    wanted = finished.spec.report.diagnostics
    tasks: list[Task] = []
    for name in DIAGNOSTICS if wanted is None else wanted:
        try:
            for task in _PLANS[name](finished):
                if files.read(task.key, task.kind) is None:
                    tasks.append(task)
        except TooCostlyError as error:  # what it yielded before is cheap
            files.write(skipped_key(name), Measured(seconds=0, result=Skipped(reason=str(error))))
    for index, task in enumerate(tasks, start=1):
        if finished.stop.is_made:
            return
        finished.show(f"for the report, {index} of {len(tasks)}: {task.doing}")
        start = time.perf_counter()
        try:
            result = task.measure()
        except StoppedError:
            return
        # A plugin's network is somebody else's code, and the study has its answer already.
        except Exception as error:
            logger.debug("%s failed", task.doing, exc_info=True)
            logger.warning("%s was not measured: %s", task.doing, describe_failure(error).message)
        else:
            files.write(task.key, Measured(seconds=time.perf_counter() - start, result=result))
