"""Published figures compared with the study's own, row by row. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from searchlab.config.changes import describe_changes
from searchlab.config.metrics import get_metric
from searchlab.config.nodes import Fixed
from searchlab.config.published import SEARCH, PublishedRow
from searchlab.config.settings import TrainingSettings
from searchlab.config.space import SpaceSpec
from searchlab.records.trial_record import CONFUSIONS_OF, TrialRecord
from searchlab.report.class_names import name_classes
from searchlab.report.leaderboard import best_row
from searchlab.study.trial_config import settings_at

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.report.reading import StudyReading

__all__ = [
    "NOT_RECORDED",
    "ComparedFigure",
    "PublishedComparison",
    "compare_published",
    "read_confusions",
]

Measure = Literal["test", "folds"]

NOT_RECORDED = "not recorded"
"""Ours was measured, but the searchlab that ran the study did not keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigure:
    """One published figure and ours; None if ours is missing.

    Accuracies are in per cent. ``source`` says what ours is measured on; it is ``search`` for a
    setting that was found best. If a metric is not of one fold alone, ``ours_test`` and
    ``ours_folds`` are both measures of it, one of which is ``ours``. ``missing`` says why ours is
    None, if that is known. If it is not ``is_comparable``, there is no difference.
    """

    table: str
    name: str
    figure: str
    published: object
    ours: object
    std: float | None
    source: Literal[Measure, "training", "search", "test neurons", "test images"]
    wrong: str
    ours_test: float | None = None
    ours_folds: float | None = None
    ours_folds_std: float | None = None
    missing: str = ""
    is_comparable: bool = True

    @property
    def difference(self) -> float | None:
        """Ours less the published one, if both are measured figures and comparable."""
        if self.source == "search" or self.ours is None or not self.is_comparable:
            return None
        assert isinstance(self.ours, (int, float)), self.ours
        assert isinstance(self.published, (int, float)), self.published
        return self.ours - self.published


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedComparison:
    """A report's figures and those of the study that reproduces it.

    ``differs`` says why they are not comparable, empty if they are.
    """

    source: str
    why: str
    figures: tuple[ComparedFigure, ...]
    differs: str = ""


def compare_published(reading: StudyReading) -> PublishedComparison | None:
    """Pair every published figure with ours; None for a study that reproduces no report."""
    published = reading.spec.published
    if published is None:
        return None
    baselines = {
        record.label: record
        for record in reading.records
        if record.role == "baseline" and record.state == "COMPLETE"
    }
    best = _best_of_search(reading)
    found = baselines if best is None else {**baselines, SEARCH: best}
    changes = describe_changes(reading.spec)
    figures: list[ComparedFigure] = []
    for row in published.rows:
        against: Measure = row.against or published.against
        if row.trial in reading.spec.ensembles:
            against = "test"  # all that an ensemble is measured on
        for figure, value in row.figures.items():
            ours = _our_figure(row, figure, against, found, reading)
            figures.append(
                ComparedFigure(
                    table=row.table,
                    name=row.name,
                    figure=figure,
                    published=value,
                    ours=_finite(ours.value),
                    std=_finite(ours.std),
                    source=_source(figure, against),
                    wrong=row.wrong,
                    ours_test=_finite(ours.test),
                    ours_folds=_finite(ours.folds),
                    ours_folds_std=_finite(ours.folds_std),
                    missing=ours.missing,
                    is_comparable=not (published.differs or changes),
                )
            )
        figures.extend(_compare_settings(row, found, reading.spec))
    return PublishedComparison(
        source=published.source,
        why=published.why,
        figures=tuple(figures),
        differs="; ".join(filter(None, (published.differs, changes))),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _source(
    figure: str, against: Measure
) -> Literal[Measure, "training", "test neurons", "test images"]:
    if figure in ("train_loss", "first_train_loss", "seconds_per_epoch", "seconds"):
        return "training"
    if figure == "images":
        return "test images"
    return "test neurons" if figure.startswith("correlation") else against


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ours:
    """Our figure; both of its measures if there are two, or why it is missing."""

    value: float | None = None
    std: float | None = None
    test: float | None = None
    folds: float | None = None
    folds_std: float | None = None
    missing: str = ""


def _our_figure(
    row: PublishedRow,
    figure: str,
    against: Measure,
    found: Mapping[str, TrialRecord],
    reading: StudyReading,
) -> _Ours:
    if figure == "accuracy_deviation":
        return _Ours(value=_deviate(row.across, against, found))
    if row.trial is None:
        return _Ours()
    if figure == "images":
        return _Ours(value=_count_images(row, row.trial, reading))
    if figure in ("correlation_mean", "correlation_std"):
        measured = reading.evaluations.get(row.trial, {})
        return _Ours(value=measured.get(figure.removeprefix("correlation_")))
    if row.trial in reading.spec.ensembles:
        value = _scaled(reading.evaluations.get(row.trial, {}).get(figure), figure)
        return _Ours(value=value, test=value)
    record = found.get(row.trial)
    if record is None:
        return _Ours()
    if figure in ("train_loss", "first_train_loss"):
        return _train_loss(record, row.fold, against, is_first=figure == "first_train_loss")
    if figure in ("seconds_per_epoch", "seconds"):
        # Not a finalist's own: the folds that it took over cost it nothing.
        searched = (one for one in reading.records if one.number == record.finalist_of)
        seconds = _seconds_per_epoch(next(searched, record), reading.spec)
        if seconds is not None and figure == "seconds":
            seconds *= record.epochs
        return _Ours(value=seconds)
    if row.fold is not None:
        return _Ours(value=_of_fold(record, figure, row.fold, reading.spec))
    return _of_trial(record, figure, against, reading.spec)


def _best_of_search(reading: StudyReading) -> TrialRecord | None:
    best = best_row(reading.records, reading.spec, roles=("finalist", "search"))
    if best is None:
        return None
    return next(record for record in reading.records if record.number == best.number)


def _deviate(
    names: Sequence[str], against: Measure, found: Mapping[str, TrialRecord]
) -> float | None:
    """Return the deviation of trials' accuracies, as if they were all that there are."""
    records = [found[name] for name in names if name in found]
    if against == "test":
        figures = [record.test_figures.get("accuracy") for record in records]
    else:
        figures = [statistics.fmean(one.fold_values) for one in records if one.fold_values]
    known = [figure for figure in figures if figure is not None]
    return statistics.pstdev(known) if len(known) == len(names) else None


def _count_images(row: PublishedRow, trial: str, reading: StudyReading) -> float | None:
    """Return how many test images a baseline's model confuses as a row says."""
    counts = read_confusions(reading, trial)
    if counts is None or row.confusion is None:
        return None
    names = name_classes(reading.spec.dataset.name, len(counts))
    if not set(row.confusion) <= set(names):
        return None
    true, answer = (names.index(name) for name in row.confusion)
    return counts[true][answer]


def read_confusions(reading: StudyReading, baseline: str) -> list[list[int]] | None:
    """Return the test images by true class and answer of a baseline's model, if recorded."""
    counts = reading.evaluations.get(f"{CONFUSIONS_OF}{baseline}", {}).get("counts")
    if counts is None:
        return None
    width = math.isqrt(len(counts))
    return [counts[begin : begin + width] for begin in range(0, len(counts), width)]


def _train_loss(
    record: TrialRecord, fold: int | None, against: Measure, *, is_first: bool
) -> _Ours:
    """Return the first or last epoch's loss of the model that the published one is compared with.

    A report's model is trained on all training images unless its row is of folds.
    """
    losses, full = record.train_losses, record.full_train_loss
    if is_first:
        losses, full = record.first_train_losses, record.first_full_train_loss
    if fold is not None:
        return _Ours(value=losses[fold - 1]) if fold <= len(losses) else _Ours()
    if against == "folds":
        return _Ours(value=statistics.fmean(losses)) if losses else _Ours()
    if full is None and record.role != "search":
        return _Ours(missing=NOT_RECORDED)
    return _Ours(value=full)


def _seconds_per_epoch(record: TrialRecord, spec: StudySpec) -> float | None:
    # A report's epoch is all training images; a fold's model leaves one fold out. The one for
    # the test set, which search trials never meet, leaves none.
    num_folds = spec.validation.folds
    passes = len(record.fold_values) * (1 - 1 / num_folds) + (record.role != "search")
    return record.seconds / (record.epochs * passes) if record.epochs else None


def _of_fold(record: TrialRecord, figure: str, fold: int, spec: StudySpec) -> float | None:
    if figure != spec.primary.metric or fold > len(record.fold_values):
        return None
    return _scaled(record.fold_values[fold - 1], figure)


def _of_trial(record: TrialRecord, figure: str, against: Measure, spec: StudySpec) -> _Ours:
    test = _scaled(record.test_figures.get(figure), figure)
    # Per fold, a trial keeps only the objective's metric.
    values = record.fold_values if figure == spec.primary.metric else ()
    mean = _scaled(statistics.fmean(values), figure) if values else None
    std = _scaled(statistics.stdev(values), figure) if len(values) > 1 else None
    is_test = against == "test"
    return _Ours(
        value=test if is_test else mean,
        std=None if is_test else std,
        test=test,
        folds=mean,
        folds_std=std,
    )


def _scaled(value: float | None, figure: str) -> float | None:
    """Return our figure of a metric as reports print it."""
    return None if value is None else get_metric(figure).unit.scale * value


def _compare_settings(
    row: PublishedRow, found: Mapping[str, TrialRecord], spec: StudySpec
) -> list[ComparedFigure]:
    record = None if row.trial is None else found.get(row.trial)
    return [
        ComparedFigure(
            table=row.table,
            name=row.name,
            figure=name,
            published=value,
            ours=None if record is None else _setting(name, record, spec),
            std=None,
            source="search",
            wrong=row.wrong,
        )
        for name, value in row.settings.items()
    ]


def _setting(name: str, record: TrialRecord, spec: StudySpec) -> object:
    """Return what a trial was trained with: searched, fixed by the space, or by ``training``."""
    shared = spec.space.shared if isinstance(spec.space, SpaceSpec) else {}
    fixed = {place: node.root for place, node in shared.items() if isinstance(node, Fixed)}
    point = {**fixed, **record.params}
    if name in point or name not in TrainingSettings.model_fields:
        return point.get(name)
    rows = (row for row in spec.baseline_rows if row.name == record.label)
    own = next(rows, None) if record.role == "baseline" else None
    settings = spec.training if own is None else spec.baseline_training(own)
    return getattr(settings_at(point, settings), name)
