"""How far a search must be ahead of a baseline before it may end early."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

__all__ = ["find_needed_lead"]

# A lead that the folds' noise alone would rarely show. The best of many trials leans high on the
# folds that chose it, so one such error would end most searches with nothing found.
_NUM_ERRORS = 2


def find_needed_lead(baseline: Sequence[float], *, num_search_folds: int, margin: float) -> float:
    """Return the lead on the search folds that ends a search, in the metric's own units.

    ``baseline`` has the best baseline's figures on two folds or more. The lead is ``margin``, or
    twice the standard error of a difference on the search folds if that is more, as if the trial
    varied between folds as much as the baseline, and independently of it.
    """
    error = statistics.stdev(baseline) * math.sqrt(2 / num_search_folds)
    return max(margin, _NUM_ERRORS * error)
