"""The goal that ends a search before its budget does: a clear lead over the baselines.

It is judged by the search folds alone, on which the search chooses anyway. So it changes how long
a study searches, but not how its verdict is reached: by the test set, which no choice has met.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from searchlab.analysis.lead import find_needed_lead
from searchlab.config.study import StudySpec
from searchlab.records.trial_record import TrialRecord
from searchlab.study.callbacks import BestTrial

__all__ = ["Lead", "find_lead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """How far the search's best trial is ahead of the best baseline, in the metric's own units.

    Both figures are means over the search folds. ``needed`` is the lead that ends a search.
    """

    best: BestTrial
    baseline: TrialRecord
    size: float
    needed: float

    @property
    def is_enough(self) -> bool:
        """Return whether it ends the search."""
        return self.size >= self.needed

    def describe(self, spec: StudySpec) -> str:
        """Say that the search of this study ends, and why."""
        unit = spec.primary.entry.unit
        size, needed = unit.write_difference(self.size), unit.write_difference(self.needed)
        return (
            f"the search ends: #{self.best.number} {self.best.label} is ahead of the best baseline "
            f"{self.baseline.label} by {size} on the search folds, and search.until asks for "
            f"{needed}"
        )


def find_lead(
    spec: StudySpec, best: BestTrial | None, baselines: Iterable[TrialRecord]
) -> Lead | None:
    """Return the lead of the search's ``best`` over the best of the ended ``baselines``.

    None if there is no search trial yet, or no baseline that was trained on several folds.
    """
    sign = spec.primary.sign
    rivals = [
        (sign * record.value, record)
        for record in baselines
        if record.state == "COMPLETE" and record.value is not None and len(record.fold_values) > 1
    ]
    if best is None or not rivals:
        return None
    figure, baseline = max(rivals, key=lambda rival: rival[0])
    needed = find_needed_lead(
        baseline.fold_values,
        num_search_folds=spec.validation.search_folds,
        margin=spec.confirm.margin_as_figure,
    )
    return Lead(
        best=best,
        baseline=baseline,
        size=sign * best.value - figure,
        needed=needed,
    )
