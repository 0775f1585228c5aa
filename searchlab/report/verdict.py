"""The sentence under a leaderboard: did the search beat the best baseline?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from searchlab.analysis.comparison import FEWEST_FOLDS, Comparison
from searchlab.analysis.confirmation import ConfirmedDifference
from searchlab.report.contest import (
    Contest,
    OpenBaseline,
    find_open_baselines,
    hold_contest,
)
from searchlab.report.formatting import format_difference, format_value
from searchlab.report.judgement import Outcome, judge
from searchlab.study.plan import choose_rivals

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.leaderboard import Leaderboard, Row

__all__ = ["Answer", "Verdict", "VerdictOutcome", "reach_verdict"]

Answer = Literal["YES", "NO", "UNDECIDED"]
VerdictOutcome = Outcome | Literal["untested"]

_ANSWERS: dict[VerdictOutcome, Answer] = {
    "better": "YES",
    "worse": "NO",
    "equal": "NO",
    "undecided": "UNDECIDED",
    "untested": "UNDECIDED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the best finalist beats the best baseline.

    ``answer`` is None if the study does not ask, because it has no search or no baselines, or if it
    is only a quick look. ``outcome`` is how the finalist is, by ``contest``: ``better``, ``worse``,
    ``equal``, ``undecided`` or ``untested``; a baseline that may be better than the best turns a
    YES into UNDECIDED. ``text`` begins with the answer; ``details`` are further sentences.
    """

    answer: Answer | None
    outcome: VerdictOutcome
    challenger: Row | None
    incumbent: Row | None
    contest: Contest | None
    text: str
    details: tuple[str, ...] = ()

    @property
    def winner(self) -> Row | None:
        """The one that is shown to be better; None if neither is."""
        if self.answer == "YES":
            return self.challenger
        return self.incumbent if self.answer == "NO" and self.outcome == "worse" else None


def reach_verdict(board: Leaderboard, records: Sequence[TrialRecord], spec: StudySpec) -> Verdict:
    """Compare the best finalist with the best baseline."""
    rivals = choose_rivals(spec, records)
    rows = {row.number: row for row in board.rows}
    if rivals is None or board.quick_look:
        return _decline(board, records, spec)
    finalist, baseline = rows[rivals.finalist.number], rows[rivals.baseline.number]
    contest = hold_contest(spec, records, rivals)
    found = contest.found
    outcome: VerdictOutcome = "untested"
    if found is not None and _is_enough(found):
        outcome = judge(
            found.difference,
            p_value=found.p_value,
            p_unequal=found.p_unequal(spec.confirm.margin_as_figure),
            sign=board.sign,
        )
    if contest.basis == "all folds" and outcome in ("better", "equal"):
        outcome = "undecided"
    verdict = Verdict(
        answer=_ANSWERS[outcome],
        outcome=outcome,
        challenger=finalist,
        incumbent=baseline,
        contest=contest,
        text=f"{_ANSWERS[outcome]}. {_state(board, spec, outcome, finalist, baseline, contest)}",
        details=_explain(board, spec, outcome, contest),
    )
    return _weigh(verdict, find_open_baselines(spec, records, rivals.baseline))


def _is_enough(found: ConfirmedDifference | Comparison) -> bool:
    return isinstance(found, ConfirmedDifference) or found.num_compared >= FEWEST_FOLDS


def _weigh(verdict: Verdict, others: Sequence[OpenBaseline]) -> Verdict:
    """Take into account the baselines that may be better than the best one."""
    if not others:
        return verdict
    first, num_more = others[0], len(others) - 1
    more = f", and {num_more} more are open too" if num_more else ""
    doubt = f"the baseline {first.name} {first.what}, so it may be the best one{more}"
    if verdict.answer != "YES":
        return replace(verdict, details=(*verdict.details, f"{doubt[0].upper()}{doubt[1:]}."))
    stated = verdict.text.removeprefix("YES. ")
    return replace(
        verdict,
        answer="UNDECIDED",
        text=f"UNDECIDED. {stated}, but {doubt}",
        details=(f"{first.do}.", *verdict.details),
    )


def _state(
    board: Leaderboard,
    spec: StudySpec,
    outcome: VerdictOutcome,
    finalist: Row,
    baseline: Row,
    contest: Contest,
) -> str:
    rival = f"the best baseline {baseline.title}"
    found = contest.found
    if found is None:
        return f"{finalist.title} and {rival} are not compared yet: {contest.missing}"
    size = format_difference(board.metric, found.difference, named=True)
    evidence = _describe_evidence(board, contest)
    direction = _direct(board.sign * found.difference)
    if outcome == "better":
        return f"{finalist.title} beats {rival} by {size} ({evidence})"
    if outcome == "worse":
        return f"{finalist.title} is worse than {rival} by {size} ({evidence})"
    if outcome == "equal":
        margin = format_difference(board.metric, spec.confirm.margin_as_figure)
        return (
            f"{finalist.title} differs from {rival} by less than {margin}: {size} {direction} "
            f"({evidence})"
        )
    return f"{finalist.title} is not shown to differ from {rival}: {size} {direction} ({evidence})"


def _describe_evidence(board: Leaderboard, contest: Contest) -> str:
    """Give interval, p and the test. The interval counts as the sentence names the difference."""
    found = contest.found
    assert found is not None
    by = _describe_test(board, contest, found)
    if found.interval is None or found.p_value is None:
        return f"the same on each of {by}, so there is no spread to test"
    sign = 1 if found.difference >= 0 else -1
    low, high = (
        format_value(board.metric, end, unit=False)
        for end in sorted(sign * end for end in found.interval)
    )
    if not _is_enough(found):
        return f"{by} are too few to test"
    p_text = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
    return f"95 % CI {low} to {high}, {p_text}; {by}"


def _describe_test(
    board: Leaderboard, contest: Contest, found: ConfirmedDifference | Comparison
) -> str:
    if isinstance(found, ConfirmedDifference):
        ours, theirs = found.num_repeats
        models = f"{ours} models of each" if ours == theirs else f"{ours} and {theirs} models"
        return f"{models}, {found.num_images:,} test images"
    if contest.basis == "unseen folds":
        return f"{found.num_compared} folds that the search did not see"
    return f"{board.num_folds} folds"


def _explain(
    board: Leaderboard, spec: StudySpec, outcome: VerdictOutcome, contest: Contest
) -> tuple[str, ...]:
    """Say what was chosen on what, and what would decide."""
    if contest.found is None:
        return (f"Go on with: searchlab study resume {spec.name}.",)
    num_finalists = sum(row.role == "finalist" and row.rank is not None for row in board.rows)
    num_baselines = sum(row.role == "baseline" and row.rank is not None for row in board.rows)
    chosen = (
        f"{board.num_folds}-fold cross-validation on the training images chose both: the best of "
        f"{_count(num_finalists, 'finalist')} and of {_count(num_baselines, 'baseline')}."
    )
    if isinstance(contest.found, ConfirmedDifference):
        scope = "The answer is about models trained on these training images."
        needed = _describe_needed(spec, contest.found) if outcome == "undecided" else ()
        return (*needed, f"{chosen} {scope}")
    if contest.basis == "unseen folds":
        bias = " Its figures lean to the finalist that was best on them." * (num_finalists > 1)
        return (f"The search saw {_count_folds(board.search_folds)} of {board.num_folds}.{bias}",)
    return (
        f"The search chose the finalist on {_count_folds(board.search_folds)} of these "
        f"{board.num_folds}, so they cannot show that it is better. {_ask_for_repeats(spec)}",
    )


def _ask_for_repeats(spec: StudySpec) -> str:
    if spec.confirm.repeats or not spec.primary.entry.is_of_single_answers:
        return f"Use {FEWEST_FOLDS} folds or more beyond validation.search_folds."
    return (
        f"To let the test set decide: searchlab study resume {spec.name} --set confirm.repeats=5."
    )


def _describe_needed(spec: StudySpec, found: ConfirmedDifference) -> tuple[str, ...]:
    needed = found.find_needed(spec.confirm.margin_as_figure)
    if needed is None:
        return ("No number of models or images would decide a difference of confirm.margin.",)
    images = f"about {needed.images:,} test images in all, not {found.num_images:,}"
    if needed.repeats is None:
        return (f"To decide it would take {images}; more models alone would not.",)
    return (
        f"To decide it would take about {needed.repeats} models of each (searchlab study resume "
        f"{spec.name} --set confirm.repeats={needed.repeats}), or {images}.",
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _count_folds(number: int) -> str:
    return "one fold" if number == 1 else f"{number} folds"


def _direct(gain: float) -> str:
    """Return the word after the size of a difference."""
    return "better" if gain > 0 else "worse" if gain < 0 else "apart"


def _decline(board: Leaderboard, records: Sequence[TrialRecord], spec: StudySpec) -> Verdict:
    """Say why nothing is compared."""
    finalist = _first(board, "finalist")
    baseline = _first(board, "baseline")
    is_asked = bool(spec.baseline_rows and spec.confirm.top and spec.search.trials != 0)
    answer: Answer | None = "UNDECIDED" if is_asked and not board.quick_look else None
    text = _explain_missing(board, finalist, baseline)
    if board.quick_look:
        text = f"Quick look, not comparable: {board.quick_look}" + (f". {text}" if text else "")
    verdict = Verdict(
        answer=answer,
        outcome="untested",
        challenger=finalist,
        incumbent=baseline,
        contest=None,
        text=text if answer is None else f"{answer}. {text}",
    )
    return _weigh(verdict, find_open_baselines(spec, records, None) if answer else ())


def _first(board: Leaderboard, role: str) -> Row | None:
    return next((row for row in board.rows if row.role == role and row.rank is not None), None)


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
