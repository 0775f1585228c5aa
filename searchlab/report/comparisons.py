"""Comparisons of baselines, pair by pair, under the questions that a study asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.analysis.comparison import Comparison, compare_folds
from searchlab.config.changes import describe_quick_look
from searchlab.report.formatting import MISSING, format_difference, format_value
from searchlab.report.judgement import judge
from searchlab.report.layout import Column, make_table, markdown_table, plain_text, say

if TYPE_CHECKING:
    from rich.console import Console

    from searchlab.report.reading import StudyReading

__all__ = [
    "ComparedBaselines",
    "adjust_by_holm",
    "compare_baselines",
    "comparisons_markdown",
    "comparisons_table",
    "print_comparisons",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedBaselines:
    """One pair: ``comparison`` is the first's value less the second's, None if one is missing.

    ``p_adjusted``, that they are equal, and ``p_unequal_adjusted``, that they differ by the
    ``margin`` or more, are Holm's, each over the pairs of the same question. ``sign`` is 1 if more
    of the metric is better, -1 if less is. ``is_judged`` is false in a quick look.
    """

    question: str
    first: str
    second: str
    comparison: Comparison | None
    p_adjusted: float | None
    p_unequal_adjusted: float | None
    margin: float
    metric: str
    sign: int
    is_judged: bool = True

    @property
    def p_unequal(self) -> float | None:
        """How likely so small a difference is if they differ by the margin, for a single pair."""
        return None if self.comparison is None else self.comparison.p_unequal(self.margin)

    @property
    def outcome(self) -> str:
        """Return how the first of the pair is.

        ``better``, ``worse``, ``equal``, ``undecided``, ``too few folds`` to show anything, or
        ``-``.
        """
        if self.comparison is None or not self.is_judged:
            return MISSING
        if not self.comparison.has_enough_folds:
            return "too few folds"
        return judge(
            self.comparison.difference,
            p_value=self.p_adjusted,
            p_unequal=self.p_unequal_adjusted,
            sign=self.sign,
        )


def compare_baselines(reading: StudyReading) -> tuple[ComparedBaselines, ...]:
    """Test every pair of the study's ``comparisons`` over the folds that both were trained on.

    Each is tested twice: for a difference, and for being equal within the study's margin. Holm's
    adjustment holds for p-values that are valid each by itself, however they depend on each other.
    The t-test's is, for a pair that is equal. So is the larger of the two one-sided ones, for a
    pair that differs by the margin or more: it is at least the one on the side of the true
    difference. Hence among the pairs of a question the chance that any equal ones are called better
    or worse is at most 5 %, and so is the chance that any are called equal that differ by the
    margin. No pair can be both, so each can be called wrong in one of these ways only.
    """
    values = {
        record.label: record.fold_values
        for record in reading.records
        if record.role == "baseline" and record.state == "COMPLETE"
    }
    is_judged = not describe_quick_look(reading.spec)
    margin = reading.spec.confirm.margin_as_figure
    compared: list[ComparedBaselines] = []
    for question, pairs in reading.spec.comparisons.items():
        results = [_compare(values.get(a), values.get(b), reading) for a, b in pairs]
        num_tests = sum(result is not None for result in results)
        p_values = [None if result is None else result.p_value for result in results]
        p_unequal = [None if result is None else result.p_unequal(margin) for result in results]
        adjusted = zip(
            adjust_by_holm(p_values, num_tests=num_tests),
            adjust_by_holm(p_unequal, num_tests=num_tests),
            strict=True,
        )
        compared.extend(
            ComparedBaselines(
                question=question,
                first=first,
                second=second,
                comparison=result,
                p_adjusted=p_adjusted,
                p_unequal_adjusted=p_unequal_adjusted,
                margin=margin,
                metric=reading.spec.primary.metric,
                sign=reading.spec.primary.sign,
                is_judged=is_judged,
            )
            for (first, second), result, (p_adjusted, p_unequal_adjusted) in zip(
                pairs, results, adjusted, strict=True
            )
        )
    return tuple(compared)


def _compare(
    first: tuple[float, ...] | None, second: tuple[float, ...] | None, reading: StudyReading
) -> Comparison | None:
    if first is None or second is None or len(first) != len(second) or len(first) < 2:
        return None
    return compare_folds(
        first,
        second,
        num_folds=reading.spec.validation.folds,
        bounds=reading.spec.primary.entry.unit.bounds,
    )


def adjust_by_holm(p_values: list[float | None], *, num_tests: int) -> list[float | None]:
    """Adjust for asking ``num_tests`` times at once (Holm 1979).

    A pair without a p, which differs equally on all folds, counts as a test too, as if its p were
    the largest. That adjusts the others the most.
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, (num_tests - rank) * p))
        adjusted[index] = largest
    return adjusted


_COLUMNS: tuple[Column, ...] = (
    ("baselines compared", "left"),
    ("difference", "right"),
    ("95 % CI", "right"),
    ("p", "right"),
    ("the first is", "left"),
)
_EXPLANATION = (
    "Corrected paired t-test over the folds. The 95 % CI is for a single pair; p is adjusted over "
    "the pairs of a question (Holm)."
)


def print_comparisons(console: Console, compared: Sequence[ComparedBaselines]) -> None:
    """Print each question with a line for each pair under it."""
    columns = _choose_columns(compared)
    table = make_table(columns)
    before = ""
    for pair in compared:
        if pair.question != before:
            table.add_row(plain_text(pair.question, style="bold"))
            before = pair.question
        table.add_row(*(plain_text(cell) for cell in _cells(pair)[: len(columns)]))
    console.print(table)
    say(console, _explain(compared), style="dim")


def comparisons_markdown(compared: Sequence[ComparedBaselines]) -> str:
    """Return the same as one Markdown table."""
    return f"{markdown_table(*comparisons_table(compared))}\n{_explain(compared)}\n"


def comparisons_table(
    compared: Sequence[ComparedBaselines],
) -> tuple[list[Column], list[tuple[str, ...]]]:
    """Return the columns, and a row of text for each pair with its question."""
    columns: list[Column] = [("question", "left"), *_choose_columns(compared)]
    rows = [
        (pair.question, *(cell.strip() for cell in _cells(pair)))[: len(columns)]
        for pair in compared
    ]
    return columns, rows


def _choose_columns(compared: Sequence[ComparedBaselines]) -> Sequence[Column]:
    """Leave out the outcomes, which come last, if none is judged."""
    return _COLUMNS if any(pair.is_judged for pair in compared) else _COLUMNS[:-1]


def _explain(compared: Sequence[ComparedBaselines]) -> str:
    judged = next((pair for pair in compared if pair.is_judged), None)
    if judged is None:
        return _EXPLANATION
    margin = format_difference(judged.metric, judged.margin, named=True)
    return (
        f"{_EXPLANATION} Equal: two one-sided tests, adjusted too, show a difference of less than "
        f"{margin}."
    )


def _cells(pair: ComparedBaselines) -> tuple[str, ...]:
    names = f"  {pair.first} - {pair.second}"
    comparison = pair.comparison
    if comparison is None:
        return names, MISSING, MISSING, MISSING, pair.outcome
    interval = MISSING
    if comparison.interval is not None:
        interval = " to ".join(_write(pair, end) for end in comparison.interval)
    p_value = MISSING if pair.p_adjusted is None else _format_p(pair.p_adjusted)
    return names, _write(pair, comparison.difference), interval, p_value, pair.outcome


def _write(pair: ComparedBaselines, difference: float) -> str:
    return format_value(pair.metric, difference, unit=False, sign="+")


def _format_p(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
