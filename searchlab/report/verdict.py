"""The one sentence under a leaderboard: does the winner beat the best baseline, and how sure?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from searchlab.analysis.comparison import Comparison, compare_folds
from searchlab.config.metrics import get_metric
from searchlab.report.formatting import format_difference, format_value
from searchlab.report.leaderboard import Leaderboard, Row

__all__ = ["Outcome", "Verdict", "reach_verdict"]

Outcome = Literal["better", "worse", "not_shown", "untested"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the best finalist compares with the best baseline.

    ``outcome`` is ``untested`` if either is missing, the study is only a quick look, or there are
    too few folds to show anything; ``caveat`` is empty or one sentence.
    """

    outcome: Outcome
    challenger: Row | None
    incumbent: Row | None
    comparison: Comparison | None
    text: str
    caveat: str = ""


def reach_verdict(board: Leaderboard) -> Verdict:
    """Compare the best finalist with the best baseline over their common folds."""
    ranked = [row for row in board.rows if row.rank is not None]
    finalists = [row for row in ranked if row.role == "finalist"]
    finalist = finalists[0] if finalists else None
    baseline = next((row for row in ranked if row.role == "baseline"), None)
    if finalist is None or baseline is None or board.quick_look:
        return Verdict(
            outcome="untested",
            challenger=finalist,
            incumbent=baseline,
            comparison=None,
            text=_explain_untested(board, finalist, baseline),
        )
    comparison = compare_folds(
        finalist.fold_values,
        baseline.fold_values,
        num_folds=board.num_folds,
        bounds=get_metric(board.metric).unit.bounds,
    )
    outcome = _judge(comparison, board.sign)
    return Verdict(
        outcome=outcome,
        challenger=finalist,
        incumbent=baseline,
        comparison=comparison,
        text=_state(board, outcome, finalist, baseline, comparison),
        caveat=_warn_of_selection(board, finalist, baseline, num_finalists=len(finalists)),
    )


def _judge(comparison: Comparison, sign: int) -> Outcome:
    if not comparison.has_enough_folds:
        return "untested"
    if not comparison.is_shown:
        return "not_shown"
    return "better" if sign * comparison.difference > 0 else "worse"


def _state(
    board: Leaderboard, outcome: Outcome, finalist: Row, baseline: Row, comparison: Comparison
) -> str:
    rival = f"the best baseline {baseline.title}"
    evidence = _describe_evidence(board, comparison)
    size = format_difference(board.metric, comparison.difference, named=True)
    if outcome == "better":
        return f"{finalist.title} beats {rival} by {size} ({evidence})"
    if outcome == "worse":
        return f"{finalist.title} is worse than {rival} by {size} ({evidence})"
    gain = board.sign * comparison.difference
    direction = _direct(gain)
    if outcome == "untested":
        return (
            f"{comparison.num_compared} folds are too few for a verdict on {finalist.title} and "
            f"{rival}: {size} {direction} ({evidence})"
        )
    return f"{finalist.title} is not shown to differ from {rival}: {size} {direction} ({evidence})"


def _describe_evidence(board: Leaderboard, comparison: Comparison) -> str:
    """Give interval and p. The interval counts in the direction that the sentence names."""
    test = f"corrected paired t-test over {comparison.num_compared} folds"
    if comparison.interval is None or comparison.p_value is None:
        return f"the same on all {comparison.num_compared} folds, so there is no spread to test"
    sign = 1 if comparison.difference >= 0 else -1
    low, high = (
        format_value(board.metric, end, unit=False)
        for end in sorted(sign * end for end in comparison.interval)
    )
    p_value = comparison.p_value
    p_text = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    if not comparison.has_enough_folds:
        return f"95 % CI {low} to {high}; {test}"  # a p would be taken for a verdict
    return f"95 % CI {low} to {high}, {p_text}; {test}"


def _warn_of_selection(
    board: Leaderboard, finalist: Row, baseline: Row, *, num_finalists: int
) -> str:
    """Say that the finalist was chosen on folds that the comparison counts again."""
    seen = board.search_folds
    pick = f", and it is the best of {num_finalists} finalists" if num_finalists > 1 else ""
    if seen >= board.num_folds:
        return (
            f"Caveat: the search chose it on these same {seen} folds{pick}, so its figure is "
            "optimistic."
        )
    unseen = [
        ours - theirs
        for ours, theirs in zip(
            finalist.fold_values[seen:], baseline.fold_values[seen:], strict=True
        )
    ]
    gain = board.sign * sum(unseen) / len(unseen)
    size = format_difference(board.metric, gain)
    count = "one" if len(unseen) == 1 else len(unseen)
    return (
        f"Caveat: the search chose it on {seen} of these {board.num_folds} folds; on the "
        f"other {count} it is {size} {_direct(gain)}{pick}."
    )


def _direct(gain: float) -> str:
    """Return the word after the size of a difference."""
    return "better" if gain > 0 else "worse" if gain < 0 else "apart"


def _explain_untested(board: Leaderboard, finalist: Row | None, baseline: Row | None) -> str:
    if board.quick_look:
        rest = _explain_missing(board, finalist, baseline)
        return f"Quick look, not comparable: {board.quick_look}" + (f". {rest}" if rest else "")
    return _explain_missing(board, finalist, baseline)


def _explain_missing(board: Leaderboard, finalist: Row | None, baseline: Row | None) -> str:
    """Say what is missing for a verdict; nothing if both rivals are there."""
    if finalist is not None and baseline is not None:
        return ""
    if finalist is not None:
        return (
            f"No baseline was cross-validated, so there is nothing to compare {finalist.title} with"
        )
    search = next(
        (row for row in board.rows if row.role == "search" and row.state == "COMPLETE"), None
    )
    if search is None and board.num_search == 0:
        return "This study runs only its baselines, without a search"
    if search is None:
        return "No search trial has finished, so there is nothing to compare yet"
    text = f"{search.title} is the search's best, but no finalist was trained on all folds"
    if baseline is not None:
        text += f", so it is not shown to differ from the best baseline {baseline.title}"
    return text
