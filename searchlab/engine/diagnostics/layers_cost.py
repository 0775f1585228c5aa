"""What it costs a study to train its two best models again and to look at their layers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from searchlab.config.study import StudySpec
from searchlab.engine.diagnostics.costs import count_models, sum_training_seconds
from searchlab.engine.diagnostics.layers import NUM_IMAGES, choose_epochs
from searchlab.engine.diagnostics.retraining import kept_epoch
from searchlab.records.trial_record import TrialRecord

__all__ = ["LARGEST_SHARE", "share_of_study"]

LARGEST_SHARE = 0.06
"""Of a study's seconds of training: what training its subjects again may cost unasked."""

_PROBE_COST = 1.5  # of training on as many images; measured on the digits: 0.3 to 1.2


def share_of_study(
    spec: StudySpec,
    subjects: Sequence[TrialRecord],
    records: Sequence[TrialRecord],
    *,
    num_images: int,
) -> float:
    """Return what looking at the subjects' layers costs, of the seconds of all trials.

    ``num_images`` are the images of an epoch on all training images.
    """
    total = sum_training_seconds(records)
    again = sum(
        _expect_seconds(spec, record, records) * _count_probes(record, num_images)
        for record in subjects
    )
    return again / total if total > 0 else math.inf


def _count_probes(record: TrialRecord, num_images: int) -> float:
    """Return how often longer the training takes because its layers are looked at."""
    num_epochs = max(1, kept_epoch(record))
    probed = len(choose_epochs(num_epochs)) * min(NUM_IMAGES, num_images)
    return 1 + _PROBE_COST * probed / (num_epochs * num_images)


def _expect_seconds(spec: StudySpec, record: TrialRecord, known: Sequence[TrialRecord]) -> float:
    """Return the seconds of a confirmation, which trains just that, or else the model's share."""
    same = [
        one.seconds
        for one in known
        if one.confirmation_of == record.number and one.state == "COMPLETE"
    ]
    if same:
        return statistics.fmean(same)
    return record.seconds / count_models(spec, record) * kept_epoch(record) / max(1, record.epochs)
