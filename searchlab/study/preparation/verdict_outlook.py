"""What a study says beforehand about its verdict: whether it can reach one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from searchlab.analysis.comparison import FEWEST_FOLDS
from searchlab.config.baselines import BaselineRow
from searchlab.config.changes import describe_quick_look
from searchlab.config.study import StudySpec
from searchlab.study.plan import count_confirmations
from searchlab.study.trial_config import plan_folds

__all__ = ["verdict_warnings"]

_GOOD_FOLDS = 5


def verdict_warnings(spec: StudySpec) -> Iterator[str]:
    """Yield why a study cannot show which model is better, if it asks.

    It asks if it has finalists and baselines, or comparisons. A quick look does not.
    """
    if describe_quick_look(spec):
        return
    rows = {row.name: row for row in spec.baseline_rows}
    if rows and spec.confirm.top > 0 and spec.search.trials != 0:
        yield from _explain_verdict(spec, rows.values())
    compared = [rows[name] for name in chain(*chain(*spec.comparisons.values())) if name in rows]
    few = next((row for row in compared if _num_folds(spec, row) < FEWEST_FOLDS), None)
    if few is not None:
        found = _num_folds(spec, few)
        remedy = (
            "baselines.folds to all"
            if spec.validation.folds >= FEWEST_FOLDS
            else f"validation.folds to {_GOOD_FOLDS}, at least {FEWEST_FOLDS}"
        )
        yield (
            f"the comparisons of {few.name} will show nothing: it is trained on "
            f"{'1 fold' if found == 1 else f'{found} folds'}, and they need {FEWEST_FOLDS}. "
            f"Set {remedy}"
        )


def _explain_verdict(spec: StudySpec, rows: Iterable[BaselineRow]) -> Iterator[str]:
    """Yield why the search's winner will not be shown to be better than the baselines."""
    num_folds, num_seen = spec.validation.folds, spec.validation.search_folds
    if all(_num_folds(spec, row) < num_folds for row in rows):
        yield (
            "no baseline is trained on all folds, so there will be no verdict on the search's "
            "winner. Set baselines.folds to all"
        )
    elif not count_confirmations(spec) and num_folds - num_seen < FEWEST_FOLDS:
        remedy = (
            "Set confirm.repeats to 5, so that the test set decides"
            if spec.primary.entry.is_of_single_answers
            else f"Let the search see fewer folds, or set validation.folds to {_GOOD_FOLDS} or more"
        )
        yield (
            f"the search sees {num_seen} of {num_folds} folds, and without confirm.repeats the "
            f"verdict needs {FEWEST_FOLDS} that it does not see, so it cannot be YES. {remedy}"
        )


def _num_folds(spec: StudySpec, row: BaselineRow) -> int:
    return len(plan_folds(spec, "baseline", row).folds)
