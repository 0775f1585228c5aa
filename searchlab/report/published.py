"""A report's figures beside the study's own, row by row. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from searchlab.config.published import SEARCH, Figure, PublishedRow
from searchlab.config.settings import TrainingSettings
from searchlab.config.space import Fixed, SpaceSpec
from searchlab.report.leaderboard import best_row
from searchlab.study.attributes import TrialRecord

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.report.reading import StudyReading

__all__ = ["ComparedFigure", "PublishedComparison", "compare_published"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigure:
    """One published figure and ours; None where ours is missing.

    Accuracies are in per cent. ``source`` says what ours is measured on; it is ``search`` for a
    setting that was found best.
    """

    table: str
    name: str
    figure: str
    published: object
    ours: object
    std: float | None
    source: Literal["test", "folds", "training", "search", "test neurons"]
    wrong: str

    @property
    def difference(self) -> float | None:
        """Ours less the published one, where both are measured figures."""
        if self.source == "search" or self.ours is None:
            return None
        assert isinstance(self.ours, (int, float)), self.ours
        assert isinstance(self.published, (int, float)), self.published
        return self.ours - self.published


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedComparison:
    """A report beside the study that redoes it."""

    source: str
    why: str
    figures: tuple[ComparedFigure, ...]


def compare_published(reading: StudyReading) -> PublishedComparison | None:
    """Put every published figure beside ours; None for a study that redoes no report."""
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
    figures: list[ComparedFigure] = []
    for row in published.rows:
        against = row.against or published.against
        if row.trial in reading.spec.ensembles:
            against = "test"  # all that an ensemble is measured on
        for figure, value in row.figures.items():
            ours, std = _our_figure(row, figure, against, found, reading)
            figures.append(
                ComparedFigure(
                    table=row.table,
                    name=row.name,
                    figure=figure,
                    published=value,
                    ours=_finite(ours),
                    std=_finite(std),
                    source=_source(figure, against),
                    wrong=row.wrong,
                )
            )
        figures.extend(_compare_settings(row, found, reading.spec))
    return PublishedComparison(source=published.source, why=published.why, figures=tuple(figures))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _source(
    figure: Figure, against: Literal["test", "folds"]
) -> Literal["test", "folds", "training", "test neurons"]:
    if figure in ("train_loss", "seconds_per_epoch"):
        return "training"
    return "test neurons" if figure.startswith("correlation") else against


def _our_figure(
    row: PublishedRow,
    figure: Figure,
    against: Literal["test", "folds"],
    found: Mapping[str, TrialRecord],
    reading: StudyReading,
) -> tuple[float | None, float | None]:
    """Return our figure, and its deviation over the folds where it is a mean of them."""
    if row.trial is None:
        return None, None
    if figure in ("correlation_mean", "correlation_std"):
        measured = reading.evaluations.get(row.trial, {})
        return measured.get(figure.removeprefix("correlation_")), None
    if row.trial in reading.spec.ensembles:
        return _of_ensemble(reading.evaluations.get(row.trial, {}), figure), None
    record = found.get(row.trial)
    if record is None:
        return None, None
    return _of_trial(record, figure, against, reading.spec, row.fold)


def _of_ensemble(measured: Mapping[str, Any], figure: Figure) -> float | None:
    value = measured.get(figure)
    return None if value is None else 100 * value if figure == "accuracy" else value


def _best_of_search(reading: StudyReading) -> TrialRecord | None:
    best = best_row(reading.records, reading.spec)
    if best is None:
        return None
    return next(record for record in reading.records if record.number == best.number)


def _of_trial(
    record: TrialRecord,
    figure: Figure,
    against: Literal["test", "folds"],
    spec: StudySpec,
    fold: int | None,
) -> tuple[float | None, float | None]:
    if figure == "train_loss":
        return record.train_loss, None
    if figure == "seconds_per_epoch":
        # A report's epoch is all training images; a fold's model leaves one fold out. The one for
        # the test set, which search trials never meet, leaves none.
        num_folds = spec.validation.folds
        passes = len(record.fold_values) * (1 - 1 / num_folds) + (record.role != "search")
        return record.seconds / (record.epochs * passes) if record.epochs else None, None
    if against == "test":
        value = record.test_accuracy if figure == "accuracy" else record.test_loss
        return _scaled(value, figure), None
    if figure != spec.primary.metric or not record.fold_values:
        return None, None
    if fold is not None:
        known = fold <= len(record.fold_values)
        return _scaled(record.fold_values[fold - 1], figure) if known else None, None
    std = statistics.stdev(record.fold_values) if len(record.fold_values) > 1 else None
    return _scaled(statistics.fmean(record.fold_values), figure), _scaled(std, figure)


def _scaled(value: float | None, figure: Figure) -> float | None:
    return None if value is None else 100 * value if figure == "accuracy" else value


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
    if name in record.params:
        return record.params[name]
    node = spec.space.shared.get(name) if isinstance(spec.space, SpaceSpec) else None
    if isinstance(node, Fixed):
        return node.root
    rows = (row for row in spec.baseline_rows if row.name == record.label)
    own = next(rows, None) if record.role == "baseline" else None
    settings = spec.training if own is None else spec.baseline_training(own)
    return getattr(settings, name) if name in TrainingSettings.model_fields else None
