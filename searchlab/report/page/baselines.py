"""The report's section on the baselines, compared as the reports of old compared them."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.config.metrics import get_metric
from searchlab.records.trial_record import CURVES
from searchlab.report.comparisons import comparisons_table
from searchlab.report.formatting import MISSING, format_value, name_with_unit
from searchlab.report.page.blocks import Block, Figure, Paragraph, Section, Table
from searchlab.report.page.charts import (
    COLORS,
    add_band,
    add_line,
    count_in_wholes,
    make_chart,
    scale,
)
from searchlab.report.page.filters import list_filters

if TYPE_CHECKING:
    from searchlab.report.leaderboard import Row
    from searchlab.report.page.findings import Findings

__all__ = ["make_baselines"]

_MOST_DRAWN = 7  # curves in one figure, each of its own colour


@dataclass(frozen=True, slots=True, kw_only=True)
class _Baseline:
    """A finished baseline: its row, what it is, and its curves ``{name: [fold][epoch]}``."""

    row: Row
    architecture: str
    scheme: str
    curves: dict[str, list[list[float]]]
    seconds: list[float]

    def across_folds(self, key: str) -> tuple[list[float], list[float]]:
        """Return the mean and the sample deviation over the folds, by epoch."""
        epochs = list(zip(*self.curves[key], strict=False))
        means = [statistics.fmean(values) for values in epochs]
        return means, [statistics.stdev(v) if len(v) > 1 else 0.0 for v in epochs]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Baselines that are drawn in one figure."""

    key: str
    title: str
    members: Sequence[_Baseline]


def make_baselines(found: Findings) -> Section:
    """Draw the baselines' learning curves by what differs, and list their figures."""
    baselines = _list_baselines(found)
    if not baselines:
        says = "No baseline has finished."
        if not found.reading.spec.baseline_rows:
            says = "The study has no baselines."
        return Section(key="baselines", title="Baselines", says=says)
    metric = found.board.metric
    best = baselines[0].row
    figure = format_value(metric, best.value if best.cv_mean is None else best.cv_mean)
    says = f"Of {len(baselines)} baselines, {best.label} is the best, with {figure}."
    blocks: list[Block] = [_list_figures(found, baselines)]
    grid = {row.name for row in found.reading.spec.baseline_grid}
    for group in _group(baselines, grid):
        blocks += _draw_group(group, metric)
    blocks += _list_filters(found, baselines)
    if found.compared:
        columns, rows = comparisons_table(found.compared)
        blocks.append(
            Table(name="comparisons", title="Compared pair by pair", columns=columns, rows=rows)
        )
    return Section(key="baselines", title="Baselines", says=says, blocks=blocks)


def _list_filters(found: Findings, baselines: Sequence[_Baseline]) -> list[Block]:
    """Show each architecture's filters, its schemes below each other."""
    architectures = dict.fromkeys(one.architecture for one in baselines)
    groups = [
        (
            f"First-layer filters of {architecture}",
            [
                (one.row.number, one.row.label, one.scheme)
                for one in baselines
                if one.architecture == architecture
            ],
        )
        for architecture in architectures
    ]
    shown = list_filters(found, groups, name="filters-baselines")
    if shown is None:
        return [Paragraph(f"First-layer filters: {found.explain_missing('networks')}")]
    return shown


def _list_baselines(found: Findings) -> list[_Baseline]:
    specs = {row.name: row for row in found.reading.spec.baseline_rows}
    trials = {trial.number: trial for trial in found.reading.trials}
    return [
        _Baseline(
            row=row,
            architecture=specs[row.label].architecture,
            scheme=specs[row.label].scheme,
            curves={
                name: curve
                for name, curve in curves.items()
                if name != "seconds" and not name.startswith("full_") and curve
            },
            seconds=curves.get("seconds", []),
        )
        for row in found.board.rows
        if row.role == "baseline" and row.state == "COMPLETE" and row.label in specs
        if (curves := trials[row.number].system_attrs.get(CURVES, {}))
    ]


def _group(baselines: Sequence[_Baseline], grid: Collection[str]) -> Iterator[_Group]:
    """Group by one architecture (inset), by one scheme (architecture), and for recovery.

    Architectures are compared by those of the ``grid`` if it has several, because rows beside it
    have settings of their own.
    """
    for architecture in dict.fromkeys(one.architecture for one in baselines):
        members = [one for one in baselines if one.architecture == architecture]
        if len(members) > 1:
            is_of_schemes = len({one.scheme for one in members}) > 1
            title = f"{'Schemes' if is_of_schemes else 'Settings'} of {architecture}"
            yield _Group(key=f"inset-{architecture}", title=title, members=members)
    for scheme in dict.fromkeys(one.scheme for one in baselines):
        members = [one for one in baselines if one.scheme == scheme]
        plain = [one for one in members if one.row.label in grid]
        if len({one.architecture for one in plain}) > 1:
            members = plain
        if len({one.architecture for one in members}) > 1:
            yield _Group(key=f"architecture-{scheme}", title=f"Architectures under {scheme}",
                         members=members)  # fmt: skip
    for report in ("", "_report002"):  # whose networks ask the same question
        deep, shallow = f"a2{report}", f"a1{report}"
        frozen = [one for one in baselines if (one.architecture, one.scheme) == (deep, "HF")]
        others = [one for one in baselines if one.architecture == shallow]
        if frozen and others:
            yield _Group(key=f"recovery{report}", title=f"Recovery: {deep}/HF against every "
                         f"{shallow}", members=[*frozen, *others])  # fmt: skip


def _draw_group(group: _Group, metric: str) -> Iterator[Figure]:
    for name in dict.fromkeys((metric, "loss")):
        key = get_metric(name).curve_key
        members = [one for one in group.members if key in one.curves]
        shown = f" (the best {_MOST_DRAWN} of {len(members)})" * (len(members) > _MOST_DRAWN)
        members = members[:_MOST_DRAWN]
        if not members:
            continue
        figure = make_chart("epoch", f"{name_with_unit(name)}, validation")
        for index, one in enumerate(members):
            color = COLORS[index % len(COLORS)]
            means, spreads = one.across_folds(key)
            pairs = list(zip(means, spreads, strict=True))
            add_line(
                figure, one.row.label, range(1, len(means) + 1),
                [scale(name, mean) for mean in means], color=color,
            )  # fmt: skip
            if len(one.curves[key]) > 1:
                add_band(
                    figure, one.row.label,
                    [scale(name, mean - spread) for mean, spread in pairs],
                    [scale(name, mean + spread) for mean, spread in pairs], color=color,
                )  # fmt: skip
        figure.update_layout(height=340 + 19 * max(0, len(members) - 4))  # for the legend
        count_in_wholes(figure, max(len(one.curves[key][0]) for one in members))
        label = get_metric(name).label
        yield Figure(
            name=f"{group.key}-{name}".replace("/", "-").replace(" ", "-"),
            title=f"{group.title}: {label}, mean ± standard deviation over the folds{shown}",
            figure=figure,
        )


def _list_figures(found: Findings, baselines: Sequence[_Baseline]) -> Table:
    metric = found.board.metric
    key, sign = get_metric(metric).curve_key, found.board.sign
    loss = get_metric("loss").curve_key
    rows = []
    for one in baselines:
        cells = [MISSING, MISSING]
        if key in one.curves:
            means, _ = one.across_folds(key)
            best = sign * max(sign * mean for mean in means)
            cells = [format_value(metric, value, unit=False) for value in (means[-1], best)]
        losses = one.across_folds(loss)[0] if loss in one.curves else []
        cells.append(format_value("loss", min(losses), unit=False) if losses else MISSING)
        cells.append(f"{statistics.fmean(one.seconds):.2f}" if one.seconds else MISSING)
        test = format_value(metric, one.row.test_figures.get(metric), unit=False)
        rows.append([f"#{one.row.number} {one.row.label}", *cells, test])
    name = name_with_unit(metric)
    return Table(
        name="baselines",
        title="Mean over the folds",
        columns=[
            ("baseline", "left"), (f"last {name}", "right"), (f"best {name}", "right"),
            ("least loss", "right"), ("seconds an epoch", "right"), (f"test {name}", "right"),
        ],
        rows=rows,
    )  # fmt: skip
