"""Plain data for ``--json``. The keys named here are stable; new ones may be added.

Accuracies and losses are unrounded, accuracies in [0, 1]; what does not exist is null.

- a trial: ``rank, number, role, label, name, state, value, cv_mean, cv_std, fold_values, epochs,
  seconds, stop_reason, finalist_of, values, on_front, params, same_as``, and every metric by its
  key, those of folds as means over the search folds and again as ``test_...`` on the test set:
  ``accuracy, test_accuracy, num_parameters, ...``; ``values`` are in the order of the study's
  objectives, and ``name`` is the label with the parameters that tell the trial from others
- ``leaderboard``: ``study, metric, metrics, num_folds, search_folds, quick_look, trials: [trial],
  num_hidden, comparisons: [{question, first, second, difference, interval, p_value, p_adjusted,
  p_unequal, p_unequal_adjusted, outcome}], published: {source, why, differs, figures: [{table,
  name, figure, published, ours, std, source, wrong, ours_test, ours_folds, ours_folds_std, missing,
  is_comparable, difference}]} or null, verdict: {answer, outcome, challenger, incumbent, basis,
  difference, interval, p_value, num_folds, num_images, num_repeats, text, details}``; challenger
  and incumbent are trial numbers, difference and interval are challenger less incumbent in the
  metric's own direction; ``p_unequal`` is of the two one-sided tests by which a pair is equal;
  published accuracies and ours beside them are in per cent
- ``status``: ``study, state, run, storage, roles: {baseline | search | finalist: {total,
  complete, pruned, failed, running, waiting}}, incidents: {trials_taken_up, workers_lost,
  epochs_trained_again, trials_lost, hosts_lost: [host]}, best: trial, resume``
- ``best``: ``study, metric, metrics, trial``
- ``list``: a list of ``name, dataset, metric, state, ended, total, best: trial, begun, problem``
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from searchlab.config.metrics import list_metrics
from searchlab.records.storage.urls import hide_password

if TYPE_CHECKING:
    from searchlab.analysis.comparison import Comparison
    from searchlab.analysis.confirmation import ConfirmedDifference
    from searchlab.report.comparisons import ComparedBaselines
    from searchlab.report.leaderboard import Leaderboard, Row
    from searchlab.report.published import PublishedComparison
    from searchlab.report.reading import StudyReading
    from searchlab.report.status import StudyStatus
    from searchlab.report.summary import StudySummary
    from searchlab.report.verdict import Verdict

__all__ = ["best_data", "leaderboard_data", "row_data", "status_data", "summaries_data"]


def row_data(row: Row | None) -> dict[str, Any] | None:
    """Return a trial."""
    if row is None:
        return None
    data = asdict(row)
    figures, test_figures = data.pop("figures"), data.pop("test_figures")
    metrics = list_metrics()
    # JSON has no NaN, and a storage that others write to may hold one.
    return {
        **data,
        **{metric.stored_key: figures.get(metric.name) for metric in metrics},
        **{
            metric.test_key: test_figures.get(metric.name)
            for metric in metrics
            if metric.is_of_folds
        },
        "fold_values": _without_nan(row.fold_values),
        "values": _without_nan(row.values),
    }


def _without_nan(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def leaderboard_data(
    board: Leaderboard,
    verdict: Verdict,
    compared: Sequence[ComparedBaselines] = (),
    published: PublishedComparison | None = None,
) -> dict[str, Any]:
    """Return what ``study leaderboard`` shows."""
    return {
        "study": board.study,
        "metric": board.metric,
        "metrics": list(board.metrics),
        "num_folds": board.num_folds,
        "search_folds": board.search_folds,
        "quick_look": board.quick_look or None,
        "trials": [row_data(row) for row in board.rows],
        "num_hidden": board.num_hidden,
        "comparisons": [_comparison_data(pair) for pair in compared],
        "published": _published_data(published),
        "verdict": _verdict_data(verdict),
    }


def _comparison_data(pair: ComparedBaselines) -> dict[str, Any]:
    return {
        "question": pair.question,
        "first": pair.first,
        "second": pair.second,
        **_test_data(pair.comparison),
        "p_adjusted": pair.p_adjusted,
        "p_unequal": pair.p_unequal,
        "p_unequal_adjusted": pair.p_unequal_adjusted,
        "outcome": pair.outcome,
    }


def _test_data(comparison: Comparison | ConfirmedDifference | None) -> dict[str, Any]:
    if comparison is None:
        return dict.fromkeys(("difference", "interval", "p_value"))
    return {
        "difference": comparison.difference,
        "interval": comparison.interval and list(comparison.interval),
        "p_value": comparison.p_value,
    }


def _published_data(published: PublishedComparison | None) -> dict[str, Any] | None:
    if published is None:
        return None
    figures = [{**asdict(figure), "difference": figure.difference} for figure in published.figures]
    return {
        "source": published.source,
        "why": published.why,
        "differs": published.differs or None,
        "figures": figures,
    }


def _verdict_data(verdict: Verdict) -> dict[str, Any]:
    from searchlab.analysis.comparison import Comparison
    from searchlab.analysis.confirmation import ConfirmedDifference  # numpy

    contest = verdict.contest
    found = None if contest is None else contest.found
    return {
        "answer": verdict.answer,
        "outcome": verdict.outcome,
        "challenger": None if verdict.challenger is None else verdict.challenger.number,
        "incumbent": None if verdict.incumbent is None else verdict.incumbent.number,
        "basis": None if contest is None else contest.basis,
        **_test_data(found),
        "num_folds": found.num_compared if isinstance(found, Comparison) else None,
        "num_images": found.num_images if isinstance(found, ConfirmedDifference) else None,
        "num_repeats": found.num_repeats[0] if isinstance(found, ConfirmedDifference) else None,
        "text": verdict.text,
        "details": list(verdict.details),
    }


def status_data(
    reading: StudyReading, status: StudyStatus, best: Row | None, resume: str | None
) -> dict[str, Any]:
    """Return what ``study status`` shows; ``resume`` is the command that carries on, if any."""
    return {
        "study": reading.spec.name,
        "metric": reading.spec.primary.metric,
        "state": status.state,
        "run": str(reading.run.path),
        "storage": hide_password(reading.storage_url),
        "roles": {role: asdict(counts) for role, counts in status.roles.items()},
        "incidents": asdict(status.incidents),
        "best": row_data(best),
        "resume": resume,
    }


def best_data(reading: StudyReading, best: Row) -> dict[str, Any]:
    """Return what ``study best`` shows."""
    return {
        "study": reading.spec.name,
        "metric": reading.spec.primary.metric,
        "metrics": list(reading.metrics),
        "trial": row_data(best),
    }


def summaries_data(summaries: Sequence[StudySummary]) -> list[dict[str, Any]]:
    """Return what ``study list`` shows."""
    return [
        {
            **asdict(item),
            "best": row_data(item.best),
            "begun": item.begun.isoformat(timespec="seconds"),
            "problem": item.problem or None,
        }
        for item in summaries
    ]
