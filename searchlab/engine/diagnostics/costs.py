"""What a diagnostic may cost, as the trials' records tell before it begins."""

from __future__ import annotations

from collections.abc import Iterable

from searchlab.config.study import StudySpec
from searchlab.records.trial_record import TrialRecord

__all__ = ["count_models", "seconds_per_image", "sum_training_seconds"]


def count_models(spec: StudySpec, record: TrialRecord) -> int:
    """Return the least number of models that a baseline or finalist may have trained."""
    num_models = spec.validation.folds + 1
    if record.role == "finalist":  # which may have taken the search folds over
        num_models -= spec.validation.search_folds
    return num_models


def sum_training_seconds(records: Iterable[TrialRecord]) -> float:
    """Return the seconds that a study's trials trained for, all workers together."""
    return sum(record.seconds for record in records)


def seconds_per_image(record: TrialRecord, *, num_models: int, num_images: int) -> float:
    """Return the seconds of a trial's training step, for one of ``num_images`` an epoch."""
    return record.seconds / max(1, record.epochs * num_models * num_images)
