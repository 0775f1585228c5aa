"""What a study's models get wrong on the test images, and how sure they are of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from searchlab.analysis.calibration import measure_calibration
from searchlab.analysis.confusions import count_confusions, list_confusions
from searchlab.analysis.temperature import apply_temperature, fit_temperature
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.pictures import list_classes, show_image
from searchlab.engine.diagnostics.results import (
    Mistake,
    ModelErrors,
    Tempered,
    Untempered,
    errors_key,
)
from searchlab.engine.diagnostics.tasks import Task
from searchlab.records.trial_record import TrialRecord
from searchlab.training.held_out import is_held_out_kept
from searchlab.training.kept_answers import keep_answers
from searchlab.training.metrics import Answers

__all__ = ["plan_errors"]

_NUM_PAIRS, _IMAGES_OF_PAIR = 4, 3
_NUM_SUREST = 12
_SURELY = 0.9

Confidences = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]


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
    logits = finished.test_logits(record.number)
    images = finished.prepared.images
    labels = images.test_labels
    probabilities = apply_temperature(logits.numpy(), 1)
    guesses, confidences = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(guesses != labels)
    surest_first = wrong[np.argsort(-confidences[wrong], kind="stable")]

    def show(index: int) -> Mistake:
        return Mistake(
            image=show_image(images, "test", index),
            answer=int(guesses[index]),
            confidence=float(confidences[index]),
        )

    tempered = _temper(finished, record, logits.numpy())
    answers = Answers(labels=finished.data.test_labels.cpu(), batches=[logits])
    return ModelErrors(
        class_names=list_classes(images),
        answers=keep_answers(answers, "accuracy"),
        images=len(labels),
        wrong=len(wrong),
        surely=_SURELY,
        sure_and_wrong=int((confidences[wrong] > _SURELY).sum()),
        calibration=measure_calibration(probabilities, labels),
        tempered=tempered,
        untempered=None if tempered else _explain_untempered(finished, record),
        confused=[show(index) for index in _choose_confused(guesses, labels, surest_first)],
        surest=[show(int(index)) for index in surest_first[:_NUM_SUREST]],
    )


def _choose_confused(guesses: Classes, labels: Classes, wrong: Classes) -> Iterator[int]:
    """Yield the first images in ``wrong`` of each of the most frequent confusions."""
    num_classes = int(max(guesses.max(), labels.max())) + 1
    counts = count_confusions(labels, guesses[None], num_classes)
    for pair in list_confusions(counts, _NUM_PAIRS):
        chosen = (labels[wrong] == pair.true) & (guesses[wrong] == pair.taken_for)
        yield from wrong[chosen][:_IMAGES_OF_PAIR].tolist()


def _temper(
    finished: FinishedStudy, record: TrialRecord, logits: npt.NDArray[np.float32]
) -> Tempered | None:
    """Fit a temperature on images that no model was trained on, and apply it to the kept model."""
    held_out = finished.held_out(record.number)
    if held_out is None:
        return None
    images = finished.prepared.images
    temperature = fit_temperature(held_out.log_probabilities, images.train_labels[held_out.indices])
    probabilities = apply_temperature(logits, temperature)
    return Tempered(
        temperature=temperature,
        images=len(held_out.indices),
        calibration=measure_calibration(probabilities, images.test_labels),
    )


def _explain_untempered(finished: FinishedStudy, record: TrialRecord) -> Untempered:
    validation, images = finished.spec.validation, finished.prepared.images
    if record.role == "finalist" and validation.search_folds == validation.folds:
        return "taken over"
    is_kept = is_held_out_kept(len(images.train_labels), images.num_classes)
    return "not kept" if is_kept else "too large"
