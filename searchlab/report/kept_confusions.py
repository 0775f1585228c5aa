"""Which classes models take for which, by the answers to the test images that the record keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from searchlab.analysis.confusions import Counts, count_confusions
from searchlab.data import get_dataset

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.study.trial_record import TrialRecord

__all__ = ["KeptConfusions", "gather_confusions", "name_classes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptConfusions:
    """Images by true and predicted class, [C, C], as the mean over so many models."""

    num_models: int
    counts: Counts


def gather_confusions(records: Iterable[TrialRecord]) -> dict[int, KeptConfusions]:
    """Return, by its number, what each confirmed trial's models answered, its confirmations'."""
    models: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for record in records:
        if record.confirmation_of is not None and record.answers and record.state == "COMPLETE":
            answers = record.answers.read_labels(), record.answers.read_guesses()
            models.setdefault(record.confirmation_of, []).append(answers)
    highest = [int(max(a.max(), b.max())) for each in models.values() for a, b in each]
    return {
        number: KeptConfusions(
            num_models=len(each),
            counts=count_confusions(
                each[0][0], np.stack([guesses for _, guesses in each]), max(highest) + 1
            ),
        )
        for number, each in models.items()
    }


def name_classes(spec: StudySpec, num_classes: int) -> list[str]:
    """Return the classes' names where they are known without the images, or else their numbers."""
    facts = get_dataset(spec.dataset.name).facts
    names = () if facts is None else facts.class_names or ()
    return list(names) if len(names) == num_classes else [str(k) for k in range(num_classes)]
