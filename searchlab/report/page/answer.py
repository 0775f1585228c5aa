"""The report's first section: the answer, what won, what it cost, and what to try next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchlab.report.contest import estimate_test_mean
from searchlab.report.formatting import (
    format_duration,
    format_mean_std,
    format_seconds,
    format_value,
)
from searchlab.report.page.advice import list_advice
from searchlab.report.page.blocks import Block, Items, Paragraph, Section, Table
from searchlab.report.trial_text import list_configuration
from searchlab.report.trial_view import view_trial

if TYPE_CHECKING:
    from searchlab.report.leaderboard import Row
    from searchlab.report.page.findings import Findings

__all__ = ["make_answer"]


def make_answer(found: Findings) -> Section:
    """Say the verdict, and show the winner beside the best baseline."""
    return Section(
        key="answer",
        title="Answer",
        says=f"{found.verdict.text}.",
        blocks=tuple(_make_blocks(found)),
    )


def _make_blocks(found: Findings) -> Iterator[Block]:
    if text := found.status.unfinished:
        yield Paragraph(text)
    if found.verdict.details:
        yield Paragraph(" ".join(found.verdict.details))
    rows = _list_rivals(found)
    if rows:
        yield Table(
            name="rivals",
            title="The winner and the best baseline" if len(rows) > 1 else "The best so far",
            columns=[
                ("place", "left"), ("model", "left"), (f"{found.board.num_folds}-fold", "right"),
                ("test", "right"), ("parameters", "right"), ("epochs", "right"),
                ("seconds", "right"),
            ],
            rows=[_write_rival(found, title, row) for title, row in rows],
            bold=frozenset({0}),
        )  # fmt: skip
    if found.winner is not None:
        yield Items(
            title=f"The winner's configuration: {found.winner.title}",
            items=[
                f"{name} = {value}{' (fixed)' if is_fixed else ''}"
                for name, value, is_fixed in list_configuration(
                    view_trial(found.reading, found.winner.number)
                )
            ],
        )
    yield Items(title="What it cost", items=_list_costs(found))
    if advice := list_advice(found):
        yield Items(title="What to try next", items=advice)


def _list_rivals(found: Findings) -> list[tuple[str, Row]]:
    rows = [] if found.winner is None else [("winner", found.winner)]
    baseline = found.best_baseline
    if baseline is not None and rows and baseline.number != rows[0][1].number:
        rows.append(("best baseline", baseline))
    return rows


def _write_rival(found: Findings, title: str, row: Row) -> list[str]:
    metric = found.board.metric
    return [
        title,
        row.title,
        format_mean_std(metric, row.cv_mean, row.cv_std, unit=True),
        _write_test(found, row),
        format_value("parameters", row.figures.get("parameters")),
        str(row.epochs),
        format_seconds(row.seconds),
    ]


def _write_test(found: Findings, row: Row) -> str:
    """Write a test figure: the mean of the models that decide, or else that of the only model."""
    metric = found.board.metric
    if (mean := estimate_test_mean(found.reading.spec, found.reading.records, row.number)) is None:
        return format_value(metric, row.test_figures.get(metric))
    value, (low, high), num_models = mean
    ends = f"{format_value(metric, low, unit=False)} to {format_value(metric, high, unit=False)}"
    return f"{format_value(metric, value)} ({ends}; {num_models} models)"


def _list_costs(found: Findings) -> list[str]:
    records = found.reading.records
    begun = [trial.datetime_start for trial in found.reading.trials if trial.datetime_start]
    ended = [trial.datetime_complete for trial in found.reading.trials if trial.datetime_complete]
    training = sum(record.seconds for record in records)
    costs = [
        f"{len(records)} trials, {sum(record.epochs for record in records):,} epochs, "
        f"{format_duration(training)} of training on the workers"
    ]
    if begun and ended:
        span = (max(ended) - min(begun)).total_seconds()
        costs.append(
            f"{format_duration(span)} from the first trial's begin to the last one's end, "
            f"{min(begun).astimezone():%Y-%m-%d %H:%M} to {max(ended).astimezone():%Y-%m-%d %H:%M}"
        )
    if training and (measuring := found.diagnostics.sum_seconds()):
        costs.append(
            f"{format_duration(measuring)} to measure the models for this report, "
            f"{measuring / training:.1%} of the training"
        )
    return costs
