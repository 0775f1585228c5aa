"""The report's section on a search that varied one factor at a time from a reference point."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.report.formatting import (
    MISSING,
    format_difference,
    format_mean_std,
    format_value,
    name_with_unit,
)
from searchlab.report.page.blocks import Block, Figure, Section, Table
from searchlab.report.page.charts import COLORS, make_chart, scale

if TYPE_CHECKING:
    from searchlab.config.trial import Scalar
    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.page.findings import Findings

__all__ = ["make_factors"]

_REFERENCE = "search/0"  # the first of the sampler's plan
_WIDE = 20  # a ratio of values, from which on their axis is logarithmic
_TELLING = 2  # an effect of fewer deviations over the folds than this may be chance


@dataclass(frozen=True, slots=True, kw_only=True)
class _Factor:
    """A parameter with the trials that differ from the reference in it, the reference among them.

    They are in the order of the parameter's values.
    """

    name: str
    trials: Sequence[TrialRecord]

    def value_of(self, trial: TrialRecord) -> Scalar:
        return trial.params[self.name]

    @property
    def is_number(self) -> bool:
        values = [self.value_of(trial) for trial in self.trials]
        return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)

    @property
    def finished(self) -> list[TrialRecord]:
        """Those with a figure, from the least to the largest."""
        known = [trial for trial in self.trials if _figure(trial) is not None]
        return sorted(known, key=lambda trial: _figure(trial) or 0.0)

    @property
    def effect(self) -> float:
        """The distance between its least and its largest figure."""
        found = [_figure(trial) or 0.0 for trial in self.finished]
        return found[-1] - found[0] if len(found) > 1 else 0.0

    def describe(self, trial: TrialRecord) -> str:
        return f"{self.name} {_write(self.value_of(trial))}"


def make_factors(found: Findings) -> Section | None:
    """Draw each factor's effect around the reference; None if the search had another sampler."""
    if found.reading.spec.search.sampler != "one_at_a_time":
        return None
    trials = {
        record.plan: record
        for record in found.reading.records
        if record.role == "search" and not record.is_replaced and record.plan is not None
    }
    reference = trials.pop(_REFERENCE, None)
    factors = [] if reference is None else _group(reference, list(trials.values()))
    title = "One factor at a time"
    if reference is None or not any(len(factor.finished) > 1 for factor in factors):
        says = "Too few trials have finished to tell one factor's effect."
        return Section(key="factors", title=title, says=says)
    factors.sort(key=lambda factor: -factor.effect)
    spread = _find_spread(found, [reference, *trials.values()])
    blocks: list[Block] = [
        _list_effects(found, factors, spread),
        _draw_effects(found, factors, reference),
        *(_draw_factor(found, factor, reference) for factor in factors if factor.finished),
        _list_trials(found, factors, reference),
    ]
    return Section(
        key="factors", title=title, says=_summarise(found, factors[0], spread), blocks=blocks
    )


def _figure(trial: TrialRecord) -> float | None:
    return trial.value if trial.state == "COMPLETE" else None


def _group(reference: TrialRecord, trials: Sequence[TrialRecord]) -> list[_Factor]:
    """Group by the first parameter that differs: another family brings further ones of its own."""
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        differing = (
            name
            for name, value in reference.params.items()
            if name in trial.params and trial.params[name] != value
        )
        if (name := next(differing, None)) is not None:
            groups.setdefault(name, []).append(trial)
    factors = [_Factor(name=name, trials=[reference, *group]) for name, group in groups.items()]
    return [_sort(factor) for factor in factors]


def _sort(factor: _Factor) -> _Factor:
    if not factor.is_number:
        return factor
    ordered = sorted(factor.trials, key=lambda trial: float(factor.value_of(trial)))
    return _Factor(name=factor.name, trials=ordered)


def _find_spread(found: Findings, trials: Sequence[TrialRecord]) -> float | None:
    """Return the typical deviation over the folds: of these trials, or of those on all folds."""
    deviations = [
        statistics.stdev(trial.fold_values)
        for trial in trials
        if _figure(trial) is not None and len(trial.fold_values) > 1
    ] or [row.cv_std for row in found.board.rows if row.cv_std is not None]
    if not deviations:
        return None
    return statistics.fmean(one**2 for one in deviations) ** 0.5 or None


def _summarise(found: Findings, factor: _Factor, spread: float | None) -> str:
    metric = found.board.metric
    worst, best = factor.finished[:: found.board.sign][0], factor.finished[:: found.board.sign][-1]
    size = format_difference(metric, factor.effect)
    text = (
        f"{factor.name} moved the {metric} most: from {format_value(metric, worst.value)} "
        f"({factor.describe(worst)}) to {format_value(metric, best.value)} "
        f"({factor.describe(best)}), by {size}"
    )
    if spread is None:
        return f"{text}, on one fold, so there is no spread to measure it by."
    ratio = factor.effect / spread
    text += f", which is {ratio:.1f} times the standard deviation over folds"
    doubt = ", so it may be chance" if ratio < _TELLING else ""
    return f"{text} ({format_difference(metric, spread)}){doubt}."


def _list_effects(found: Findings, factors: Sequence[_Factor], spread: float | None) -> Table:
    metric, sign = found.board.metric, found.board.sign
    rows = []
    for factor in factors:
        ends = factor.finished[::sign]
        cells = [MISSING] * 4
        if len(ends) > 1:
            cells = [
                *(f"{_write(factor.value_of(end))} ({format_value(metric, end.value, unit=False)})"
                  for end in (ends[-1], ends[0])),
                format_value(metric, factor.effect, unit=False),
                MISSING if spread is None else f"{factor.effect / spread:.1f}",
            ]  # fmt: skip
        rows.append([factor.name, str(len(factor.trials)), *cells])
    return Table(
        name="effects",
        title=f"Effect of each factor alone, {name_with_unit(metric)}",
        columns=[
            ("factor", "left"), ("values", "right"), ("best", "left"), ("worst", "left"),
            ("from worst to best", "right"), ("in deviations over folds", "right"),
        ],
        rows=rows,
    )  # fmt: skip


def _draw_effects(found: Findings, factors: Sequence[_Factor], reference: TrialRecord) -> Figure:
    metric = found.board.metric
    shown = [factor for factor in reversed(factors) if len(factor.finished) > 1]
    least = [scale(metric, factor.finished[0].value or 0.0) for factor in shown]
    figure = make_chart(name_with_unit(metric), "")
    figure.add_bar(
        y=[factor.name for factor in shown], base=least,
        x=[scale(metric, factor.effect) for factor in shown], orientation="h",
        marker={"color": COLORS[0]}, name="from worst to best", width=0.5,
        hovertemplate="%{y}: %{base:.4g} to %{x:.4g}<extra></extra>",
    )  # fmt: skip
    if (value := _figure(reference)) is not None:
        figure.add_scatter(
            x=[scale(metric, value)] * len(shown), y=[factor.name for factor in shown],
            name="reference", mode="markers",
            marker={"symbol": "diamond", "color": COLORS[1], "size": 10},
        )  # fmt: skip
    figure.update_yaxes(type="category")
    figure.update_layout(height=160 + 34 * len(shown))
    return Figure(name="effects", title="How far each factor alone moves it", figure=figure)


def _draw_factor(found: Findings, factor: _Factor, reference: TrialRecord) -> Figure:
    metric = found.board.metric
    figure = make_chart(factor.name, f"{name_with_unit(metric)}, search folds")
    trials = [trial for trial in factor.trials if _figure(trial) is not None]
    values = [factor.value_of(trial) for trial in trials]
    spreads = [
        statistics.stdev(trial.fold_values) if len(trial.fold_values) > 1 else 0.0
        for trial in trials
    ]
    figure.add_scatter(
        x=values if factor.is_number else [_write(value) for value in values],
        y=[scale(metric, trial.value or 0.0) for trial in trials],
        error_y={"type": "data", "array": [scale(metric, spread) for spread in spreads],
                 "visible": any(spreads), "thickness": 1.2, "color": COLORS[6]},
        mode="lines+markers" if factor.is_number else "markers", showlegend=False,
        line={"color": COLORS[0]},
        marker={"size": [11 if trial is reference else 7 for trial in trials],
                "symbol": ["diamond" if trial is reference else "circle" for trial in trials],
                "color": [COLORS[1] if trial is reference else COLORS[0] for trial in trials]},
    )  # fmt: skip
    if factor.is_number:
        numbers = [float(value) for value in values]
        is_log = min(numbers) > 0 and max(numbers) >= _WIDE * min(numbers)
        figure.update_xaxes(
            type="log" if is_log else "linear", tickvals=numbers, ticktext=[*map(_write, values)]
        )
    else:
        figure.update_xaxes(type="category")
    return Figure(
        name=f"factor-{''.join(letter if letter.isalnum() else '-' for letter in factor.name)}",
        title=f"{factor.name} alone (diamond: the reference)",
        figure=figure,
    )


def _list_trials(found: Findings, factors: Sequence[_Factor], reference: TrialRecord) -> Table:
    metric = found.board.metric
    base = _figure(reference)
    rows: list[list[str]] = []
    bold: set[int] = set()
    for factor in factors:
        for trial in factor.trials:
            value, cells = _figure(trial), [MISSING, MISSING]
            if value is not None:
                has_folds = len(trial.fold_values) > 1
                spread = statistics.stdev(trial.fold_values) if has_folds else None
                cells[0] = format_mean_std(metric, value, spread)
                if not has_folds:
                    cells[0] = format_value(metric, value, unit=False)
                if base is not None and trial is not reference:
                    cells[1] = format_value(metric, value - base, unit=False, sign="+")
            if trial is reference:
                bold.add(len(rows))
                cells[1] = "reference"
            elif value is None:
                cells[1] = trial.stop_reason or trial.state.lower()
            rows.append(
                [factor.name, _write(factor.value_of(trial)), f"#{trial.number}", *cells,
                 str(trial.epochs), f"{trial.seconds:.1f}"]
            )  # fmt: skip
    return Table(
        name="factors",
        title="Every trial, by factor",
        columns=[
            ("factor", "left"), ("value", "left"), ("trial", "left"),
            (name_with_unit(metric), "right"), ("from the reference", "right"),
            ("epochs", "right"), ("seconds", "right"),
        ],
        rows=rows,
        bold=frozenset(bold),
    )  # fmt: skip


def _write(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
