"""A published report's tables and curves, drawn with the study's own figures beside its."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from searchlab.records.trial_record import CURVES
from searchlab.report.class_names import name_classes
from searchlab.report.page.blocks import Figure
from searchlab.report.page.charts import COLORS, count_in_wholes, make_chart
from searchlab.report.page.matrix import draw_matrix
from searchlab.report.published import read_confusions
from searchlab.report.published_table import name_figure

if TYPE_CHECKING:
    from searchlab.config.published import PublishedRow
    from searchlab.report.page.findings import Findings
    from searchlab.report.published import ComparedFigure

__all__ = ["draw_published"]

_LOSSES = ("train_loss", "first_train_loss")


def draw_published(found: Findings) -> Iterator[Figure]:
    """Draw each table of which ours has something: curves of training losses, points of others."""
    published = found.reading.spec.published
    if found.published is None or published is None:
        return
    tables: dict[tuple[str, str], list[ComparedFigure]] = {}
    for figure in found.published.figures:
        if figure.ours is not None and figure.source not in ("search", "test images"):
            tables.setdefault((figure.table, figure.figure), []).append(figure)
    for table in dict.fromkeys(row.table for row in published.rows):
        for (place, name), figures in tables.items():
            if place == table and name not in _LOSSES and len(figures) > 1:
                yield _draw_points(table, name, figures)
        rows = [row for row in published.rows if row.table == table and "train_loss" in row.figures]
        curves = [(row, curve) for row in rows if (curve := _find_curve(found, row))]
        if curves:
            yield _draw_losses(found, table, curves)
    confused = {row.trial: row.table for row in published.rows if row.confusion and row.trial}
    for trial, table in confused.items():
        if (counts := read_confusions(found.reading, trial)) is not None:
            names = name_classes(found.reading.spec.dataset.name, len(counts))
            yield draw_matrix(
                np.array(counts, dtype=np.float64), names, name=f"published-{_slug(trial)}",
                title=f"{table}: what our {trial} takes for what, without its right answers",
            )  # fmt: skip


def _draw_points(table: str, name: str, figures: Sequence[ComparedFigure]) -> Figure:
    title = name_figure(figures[0]).replace(" %", " in %")
    figure = make_chart(title, "")
    rows = [one.name for one in figures]
    for one in figures:
        figure.add_scatter(
            x=[one.published, one.ours], y=[one.name] * 2, mode="lines", showlegend=False,
            line={"color": COLORS[6], "width": 1}, hoverinfo="skip",
        )  # fmt: skip
    figure.add_scatter(
        x=[one.published for one in figures], y=rows, name="published", mode="markers",
        marker={"symbol": "diamond-open", "size": 11, "color": COLORS[1], "line": {"width": 2}},
    )  # fmt: skip
    spreads = [one.std or 0.0 for one in figures]
    figure.add_scatter(
        x=[one.ours for one in figures], y=rows, name="ours", mode="markers",
        marker={"size": 9, "color": COLORS[0]},
        error_x={"type": "data", "array": spreads, "visible": any(spreads), "thickness": 1.2},
    )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=rows[::-1])
    figure.update_layout(height=150 + 30 * len(rows))
    return Figure(
        name=f"published-{_slug(table)}-{name}",
        title=f"{table}: {title}, published and ours",
        figure=figure,
    )


def _find_curve(found: Findings, row: PublishedRow) -> list[float | None]:
    """Return our training losses by epoch, of the model that the row is compared with."""
    numbers = {
        record.label: record.number
        for record in found.reading.records
        if record.role == "baseline" and record.state == "COMPLETE"
    }
    trials = {trial.number: trial for trial in found.reading.trials}
    if row.trial not in numbers:
        return []
    curves: dict[str, list[Any]] = trials[numbers[row.trial]].system_attrs.get(CURVES, {})
    folds: list[list[float]] = curves.get("train_loss", [])
    if row.fold is not None:
        return list(folds[row.fold - 1]) if row.fold <= len(folds) else []
    if curves.get("full_train_loss"):
        return list(curves["full_train_loss"])
    return [statistics.fmean(losses) for losses in zip(*folds, strict=False)]


def _draw_losses(
    found: Findings, table: str, curves: Sequence[tuple[PublishedRow, list[float | None]]]
) -> Figure:
    spec = found.reading.spec
    last = int(spec.changed.get("training.epochs", spec.training.epochs))
    figure = make_chart("epoch", "training loss")
    for index, (row, curve) in enumerate(curves):
        color = COLORS[index % len(COLORS)]
        figure.add_scatter(
            x=list(range(1, len(curve) + 1)), y=curve, name=row.name,
            mode="lines+markers" if len(curve) == 1 else "lines", line={"color": color},
        )  # fmt: skip
        ends = [(1, row.figures.get("first_train_loss")), (last, row.figures["train_loss"])]
        known = [(epoch, loss) for epoch, loss in ends if loss is not None]
        figure.add_scatter(
            x=[epoch for epoch, _ in known], y=[loss for _, loss in known], mode="markers",
            name=f"{row.name}, published", showlegend=False,
            marker={"symbol": "diamond-open", "size": 10, "color": color, "line": {"width": 2}},
        )  # fmt: skip
    count_in_wholes(figure, max(last, *(len(curve) for _, curve in curves)))
    return Figure(
        name=f"published-{_slug(table)}-losses",
        title=f"{table}: training loss by epoch (lines: ours; diamonds: published)",
        figure=figure,
    )


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text).strip("-")
