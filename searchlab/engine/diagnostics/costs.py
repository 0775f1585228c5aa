"""What a diagnostic may cost, as the trials' records tell before it begins."""

from __future__ import annotations

from collections.abc import Iterable

from searchlab.study.trial_record import TrialRecord

__all__ = ["seconds_per_image", "sum_training_seconds"]


def sum_training_seconds(records: Iterable[TrialRecord]) -> float:
    """Return the seconds that a study's trials trained for, all workers together."""
    return sum(record.seconds for record in records)


def seconds_per_image(record: TrialRecord, *, num_models: int, num_images: int) -> float:
    """Return the seconds of a trial's training step, for one of ``num_images`` an epoch."""
    return record.seconds / max(1, record.epochs * num_models * num_images)
