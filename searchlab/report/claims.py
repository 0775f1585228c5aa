"""What a published report says without figures, beside what the study finds. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.analysis.comparison import FEWEST_FOLDS, compare_folds
from searchlab.config.changes import describe_changes
from searchlab.config.metrics import get_metric
from searchlab.report.formatting import MISSING, format_value

if TYPE_CHECKING:
    from searchlab.config.published import PublishedClaim
    from searchlab.config.study import StudySpec
    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.reading import StudyReading

__all__ = ["CheckedClaim", "check_claims"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClaim:
    """A claim, the figures of the trials that show it, and whether it ``holds`` here.

    ``holds`` is a sentence's beginning: ``yes``, ``no: ...``, ``yes, within the spread over the
    folds``, or ``-`` if the study does not tell.
    """

    claim: PublishedClaim
    ours: str
    holds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A trial's figure, None if it has none, with those of its folds if it is their mean."""

    name: str
    value: float | None
    folds: tuple[float, ...] = ()
    diverged: bool = False


def check_claims(reading: StudyReading) -> list[CheckedClaim]:
    """Check every claim of the study's published report."""
    published = reading.spec.published
    if published is None:
        return []
    baselines = {record.label: record for record in reading.records if record.role == "baseline"}
    return [_check(claim, baselines, reading) for claim in published.claims]


def _check(
    claim: PublishedClaim, baselines: Mapping[str, TrialRecord], reading: StudyReading
) -> CheckedClaim:
    metric = claim.metric or reading.spec.primary.metric
    shown = _list_shown(claim, metric, baselines, reading)
    ours = ", ".join(f"{one.name} {_write(metric, one)}" for one in shown)
    holds = MISSING
    if len(shown) > 1 and not describe_changes(reading.spec):
        holds = _judge(shown, metric, reading.spec)
    return CheckedClaim(claim=claim, ours=ours or MISSING, holds=holds)


def _list_shown(
    claim: PublishedClaim,
    metric: str,
    baselines: Mapping[str, TrialRecord],
    reading: StudyReading,
) -> list[_Shown]:
    """Return the trials' figures, all by one measure: an ensemble has only that of the test set."""
    published, spec = reading.spec.published, reading.spec
    assert published is not None
    has_ensemble = any(name in spec.ensembles for name in claim.trials)
    is_test = has_ensemble or published.against == "test"
    shown = []
    for name in claim.trials:
        record = baselines.get(name)
        if name in spec.ensembles:
            value = reading.evaluations.get(name, {}).get(metric)
            shown.append(_Shown(name=name, value=value))
        elif record is None or record.state != "COMPLETE":
            diverged = record is not None and record.stop_reason == "diverged"
            shown.append(_Shown(name=name, value=None, diverged=diverged))
        elif is_test:
            shown.append(_Shown(name=name, value=record.test_figures.get(metric)))
        elif metric == spec.primary.metric:
            folds = record.fold_values
            mean = statistics.fmean(folds) if folds else None
            shown.append(_Shown(name=name, value=mean, folds=folds))
        else:
            shown.append(_Shown(name=name, value=record.figures.get(metric)))
    return shown


def _write(metric: str, one: _Shown) -> str:
    return "diverged" if one.diverged else format_value(metric, one.value)


def _judge(shown: Sequence[_Shown], metric: str, spec: StudySpec) -> str:
    """Say whether the first is better than each of the others."""
    first, *others = shown
    if first.diverged:
        return f"no: {first.name} diverged"
    rest = [one for one in others if not one.diverged]
    if first.value is None or any(one.value is None for one in rest):
        return MISSING
    sign = get_metric(metric).sign
    better = [one for one in rest if sign * ((one.value or 0.0) - first.value) >= 0]
    if better:
        return f"no: not better than {' and '.join(one.name for one in better)}"
    if first.folds and not all(_is_shown(first, one, spec) for one in rest):
        return "yes, within the spread over the folds"
    return "yes" if first.folds else "yes, by one model of each"


def _is_shown(first: _Shown, other: _Shown, spec: StudySpec) -> bool:
    if len(first.folds) != len(other.folds) or len(first.folds) < FEWEST_FOLDS:
        return False
    return compare_folds(first.folds, other.folds, num_folds=spec.validation.folds).is_shown
