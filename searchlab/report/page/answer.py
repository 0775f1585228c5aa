"""The report's first section: the answer, what won, what it cost, and what to try next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from searchlab.config.metrics import get_metric
from searchlab.config.trial import Role
from searchlab.report.contest import estimate_test_mean
from searchlab.report.formatting import (
    MISSING,
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

_ROLES: dict[Role, str] = {
    "baseline": "of baselines",
    "search": "of the search",
    "finalist": "of finalists",
    "confirmation": "models that decide",
}


def make_answer(found: Findings) -> Section:
    """Say the verdict, and show the winner beside the best baseline."""
    return Section(
        key="answer",
        title="Answer",
        says=f"{found.verdict.text}.",
        blocks=tuple(_make_blocks(found)),
    )


def _make_blocks(found: Findings) -> Iterator[Block]:
    yield Paragraph(_describe_study(found))
    if text := found.status.unfinished:
        yield Paragraph(text)
    if found.verdict.details:
        yield Paragraph(" ".join(found.verdict.details))
    rows = _list_rivals(found)
    if rows:
        yield Table(
            name="rivals",
            title=_name_rivals([title for title, _ in rows]),
            columns=[
                ("place", "left"), ("model", "left"), (f"{found.board.num_folds}-fold", "right"),
                ("test", "right"), ("95 % CI", "right"), ("models tested", "right"),
                ("parameters", "right"), ("epochs", "right"), ("seconds", "right"),
            ],
            rows=[_write_rival(found, title, row) for title, row in rows],
            bold=frozenset({0}),
        )  # fmt: skip
    if found.winner is not None:
        yield Items(
            title=f"Configuration of {found.winner.title}",
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
    """Return the winner, and the best of the other side: a baseline, or else a finalist."""
    winner = found.winner
    if winner is None:
        return []
    others = [("best baseline", found.best_baseline), ("best of the search", found.best_finalist)]
    rows = [(title, row) for title, row in others if row is not None and row.role != winner.role]
    return [("winner" if found.status.state == "finished" else "best so far", winner), *rows]


def _name_rivals(places: list[str]) -> str:
    first, *others = (f"the {place}" for place in places)
    text = " and ".join([first, *others])
    return text[0].upper() + text[1:]


def _write_rival(found: Findings, title: str, row: Row) -> list[str]:
    metric = found.board.metric
    return [
        title,
        row.title,
        format_mean_std(metric, row.cv_mean, row.cv_std, unit=True)
        if row.cv_mean is not None or row.value is None
        else f"{format_value(metric, row.value)} (search folds)",
        *_write_test(found, row),
        format_value("parameters", row.figures.get("parameters")),
        str(row.epochs),
        format_seconds(row.seconds),
    ]


def _write_test(found: Findings, row: Row) -> list[str]:
    """Write a test figure: the mean of the models that decide, or else that of the only model."""
    metric = found.board.metric
    if (mean := estimate_test_mean(found.reading.spec, found.reading.records, row.number)) is None:
        figure = row.test_figures.get(metric)
        return [format_value(metric, figure), MISSING, MISSING if figure is None else "1"]
    value, (low, high), num_models = mean
    ends = f"{format_value(metric, low, unit=False)} to {format_value(metric, high, unit=False)}"
    return [format_value(metric, value), ends, str(num_models)]


def _describe_study(found: Findings) -> str:
    """Say what the study asks, for a reader who has only the report."""
    spec = found.reading.spec
    by = " and ".join(get_metric(objective.metric).label for objective in spec.objective)
    task = f"classifying {spec.dataset.title}, by {by}"
    num_baselines = len(spec.baseline_rows)
    baselines = f"{num_baselines} baseline{'s' * (num_baselines != 1)}"
    if spec.search.trials == 0:
        return f"The study compares {baselines} at {task}."
    seen, folds = spec.validation.search_folds, spec.validation.folds
    search = (
        f"The search ({spec.search.sampler}) compares configurations on {seen} of {folds} folds of "
        "the training images"
    )
    if not num_baselines:
        return f"The study searches for the best model at {task}. {search}."
    return (
        f"The study asks whether a search finds a better model than {baselines} at {task}. "
        f"{search}; its best ones and the baselines are then trained on all folds."
    )


def _list_costs(found: Findings) -> list[str]:
    records = found.reading.records
    begun = [trial.datetime_start for trial in found.reading.trials if trial.datetime_start]
    ended = [trial.datetime_complete for trial in found.reading.trials if trial.datetime_complete]
    training = sum(record.seconds for record in records)
    costs = [
        f"{len(records)} trials{_count_roles(found)}, "
        f"{sum(record.epochs for record in records if record.same_as is None):,} epochs, "
        f"{_write_span(training)} of training on the workers"
    ]
    if begun and ended:
        span = (max(ended) - min(begun)).total_seconds()
        costs.append(
            f"{_write_span(span)} from the first trial's begin to the last one's end, "
            f"{min(begun).astimezone():%Y-%m-%d %H:%M} to {max(ended).astimezone():%Y-%m-%d %H:%M}"
        )
    if training and (measuring := found.diagnostics.sum_seconds()):
        costs.append(
            f"{_write_span(measuring)} to measure the models for this report, "
            f"{measuring / training:.1%} of the training"
        )
    return costs


def _count_roles(found: Findings) -> str:
    counts = Counter(record.role for record in found.reading.records)
    parts = [f"{counts[role]} {words}" for role, words in _ROLES.items() if counts[role]]
    return f" ({', '.join(parts)})" if len(parts) > 1 else ""


def _write_span(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} seconds"
    return f"{format_duration(seconds)} {'hours' if round(seconds) >= 3600 else 'minutes'}"
