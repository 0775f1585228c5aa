"""What a study says beforehand about its verdict: whether it has enough folds for one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from searchlab.analysis.comparison import FEWEST_FOLDS, least_shown_ratio
from searchlab.config.baselines import BaselineRow
from searchlab.config.changes import describe_quick_look
from searchlab.config.study import StudySpec
from searchlab.study.trial_config import plan_folds

__all__ = ["verdict_warnings"]

_GOOD_FOLDS = 5


def verdict_warnings(spec: StudySpec) -> Iterator[str]:
    """Yield why a study cannot show which model is better, if it asks.

    It asks if it has finalists and baselines, or comparisons. A quick look does not.
    """
    rows = {row.name: row for row in spec.baseline_rows}
    has_rivals = bool(rows) and spec.confirm.top > 0 and spec.search.trials != 0
    compared = [rows[name] for name in chain(*chain(*spec.comparisons.values())) if name in rows]
    if describe_quick_look(spec) or not (has_rivals or compared):
        return
    if spec.validation.folds < FEWEST_FOLDS:
        yield _explain_few(spec.validation.folds)
        return
    if has_rivals and all(_num_folds(spec, row) < spec.validation.folds for row in rows.values()):
        yield (
            "no baseline is trained on all folds, so there will be no verdict on the search's "
            "winner. Set baselines.folds to all"
        )
    few = next((row for row in compared if _num_folds(spec, row) < FEWEST_FOLDS), None)
    if few is not None:
        found = _num_folds(spec, few)
        yield (
            f"the comparisons of {few.name} will show nothing: it is trained on "
            f"{'1 fold' if found == 1 else f'{found} folds'}, and they need {FEWEST_FOLDS}. "
            "Set baselines.folds to all"
        )


def _explain_few(num_folds: int) -> str:
    return (
        f"{num_folds} folds are too few for a verdict: a difference would have to be "
        f"{least_shown_ratio(num_folds):.1f} times its standard deviation between the folds "
        f"({_GOOD_FOLDS} folds: {least_shown_ratio(_GOOD_FOLDS):.1f} times). "
        f"Set validation.folds to {_GOOD_FOLDS}, at least {FEWEST_FOLDS}"
    )


def _num_folds(spec: StudySpec, row: BaselineRow) -> int:
    return len(plan_folds(spec, "baseline", row).folds)
