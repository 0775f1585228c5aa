"""What a study's models get wrong on the test images, and how sure they are of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from searchlab.analysis.calibration import Calibration, measure_calibration
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.tasks import Task
from searchlab.study.trial_record import TrialRecord

__all__ = ["ModelErrors", "errors_key", "plan_errors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelErrors:
    """How sure a trial's model is of its answers to the test images."""

    calibration: Calibration


def errors_key(number: int) -> str:
    """Return the key of a trial's errors."""
    return f"errors-{number}"


def plan_errors(finished: FinishedStudy) -> Iterator[Task]:
    """Look at the errors of the best finalist and of the best baseline."""
    for record in finished.subjects:
        yield Task(
            key=errors_key(record.number),
            kind=ModelErrors,
            doing=f"errors of #{record.number} {record.label}",
            measure=partial(_measure, finished, record),
        )


def _measure(finished: FinishedStudy, record: TrialRecord) -> ModelErrors:
    logits = finished.model(record.number).logits(finished.data)
    labels = finished.data.test_labels.cpu().numpy()
    probabilities = logits.double().softmax(1).numpy()
    return ModelErrors(calibration=measure_calibration(probabilities, labels))
