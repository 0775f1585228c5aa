"""Which classes models take for which, by the answers to the test images that the record keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from searchlab.analysis.confusions import Counts, count_confusions

if TYPE_CHECKING:
    from searchlab.records.trial_record import TrialRecord
    from searchlab.training.kept_answers import TestAnswers

__all__ = ["KeptConfusions", "count_answers", "gather_confusions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptConfusions:
    """Images by true and predicted class, [C, C], as the mean over so many models."""

    num_models: int
    counts: Counts


def gather_confusions(records: Iterable[TrialRecord]) -> dict[int, KeptConfusions]:
    """Return, by its number, what each confirmed trial's models answered, its confirmations'."""
    models: dict[int, list[TestAnswers]] = {}
    for record in records:
        if record.confirmation_of is not None and record.answers and record.state == "COMPLETE":
            models.setdefault(record.confirmation_of, []).append(record.answers)
    return count_answers(models)


def count_answers(models: Mapping[int, Sequence[TestAnswers]]) -> dict[int, KeptConfusions]:
    """Return what each trial's models answered, in as many classes as occur in all."""
    read = {
        number: (each[0].read_labels(), np.stack([one.read_guesses() for one in each]))
        for number, each in models.items()
    }
    highest = [int(max(labels.max(), guesses.max())) for labels, guesses in read.values()]
    return {
        number: KeptConfusions(
            num_models=len(guesses), counts=count_confusions(labels, guesses, max(highest) + 1)
        )
        for number, (labels, guesses) in read.items()
    }
