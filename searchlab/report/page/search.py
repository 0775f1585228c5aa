"""The report's section on the search: its history, what matters, and what pruning saved."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from searchlab.report.formatting import format_value, name_with_unit
from searchlab.report.page.blocks import Block, Figure, Items, Section
from searchlab.report.page.charts import (
    COLORS,
    add_line,
    count_in_wholes,
    dress,
    make_chart,
    scale,
)
from searchlab.report.page.parameters import draw_parameters
from searchlab.report.page.search_copy import copy_search
from searchlab.study.callbacks import BestTrial
from searchlab.study.search_goal import find_lead

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from optuna.trial import FrozenTrial

    from searchlab.report.page.findings import Findings

__all__ = ["draw_history", "expect_best", "make_search", "was_ahead"]

_MOST_AXES = 3  # of a Pareto front

_MOST_DRAWN = 500  # curves or lines in one figure


def make_search(found: Findings) -> Section:
    """Show how the search went."""
    ended = [trial for trial in found.search_trials if trial.state.is_finished()]
    complete = _list_complete(found)
    blocks: list[Block] = []
    if not complete:
        says = "No search trial has finished." if found.search_trials else "There was no search."
        return Section(key="search", title="The search", says=says)
    blocks += [_draw_history(found, complete), _draw_gain(found, complete)]
    if len(found.reading.spec.objective) > 1:
        blocks.append(_draw_front(found))
    blocks += draw_parameters(found, complete, _find_best(found, complete))
    if any(trial.state.name == "PRUNED" for trial in ended):
        blocks += _show_pruning(found, ended, complete)
    return Section(
        key="search", title="The search", says=_summarise(found, ended, complete), blocks=blocks
    )


def _list_complete(found: Findings) -> list[FrozenTrial]:
    return [
        trial
        for trial in found.search_trials
        if trial.state.name == "COMPLETE" and trial.values and math.isfinite(trial.values[0])
    ]


def _find_best(found: Findings, trials: Sequence[FrozenTrial]) -> FrozenTrial:
    return max(trials, key=lambda trial: found.board.sign * trial.values[0])


def _summarise(
    found: Findings, ended: Sequence[FrozenTrial], complete: Sequence[FrozenTrial]
) -> str:
    best, metric = _find_best(found, complete), found.board.metric
    text = (
        f"Of {len(ended)} search trials, #{best.number} is the best on the search folds, with "
        f"{format_value(metric, best.values[0])}"
    )
    baseline = _baseline_value(found)
    if baseline is not None:
        gain = found.board.sign * (best.values[0] - baseline)
        beaten = sum(found.board.sign * (t.values[0] - baseline) > 0 for t in complete)
        text += (
            f"; {beaten} of {len(complete)} finished ones are above the best baseline there"
            if gain > 0
            else "; none is above the best baseline there"
        )
    return f"{text}.{_explain_end(found, best)}"


def _explain_end(found: Findings, best: FrozenTrial) -> str:
    """Say that the search ended before its budget, if it has reached its goal."""
    spec = found.reading.spec
    if spec.search.until is None:
        return ""
    reached = BestTrial(number=best.number, label="", value=best.values[0])
    baselines = [
        record
        for record in found.reading.records
        if record.role == "baseline" and not record.is_replaced
    ]
    lead = find_lead(spec, reached, baselines)
    if lead is None or not lead.is_enough:
        return ""
    size, needed = (spec.primary.entry.unit.write_difference(x) for x in (lead.size, lead.needed))
    return (
        f" With {size} it is so far ahead of {lead.baseline.label} there that the search ended "
        f"(search.until asks for {needed})."
    )


def _baseline_value(found: Findings) -> float | None:
    """Return the best baseline's figure on the search folds, as search trials have it."""
    values = [
        record.value
        for record in found.reading.records
        if record.role == "baseline" and record.state == "COMPLETE" and record.value is not None
    ]
    sign = found.board.sign
    return sign * max(sign * value for value in values) if values else None


def draw_history(found: Findings) -> Figure | None:
    """Draw what each trial reached, roles told apart; None before a search trial has finished."""
    complete = _list_complete(found)
    return _draw_history(found, complete) if complete else None


def _draw_history(found: Findings, complete: Sequence[FrozenTrial]) -> Figure:
    metric, sign = found.board.metric, found.board.sign
    figure = make_chart("trial", f"{name_with_unit(metric)}, search folds")
    pruned = [
        (trial.number, trial.intermediate_values[max(trial.intermediate_values)])
        for trial in found.search_trials
        if trial.state.name == "PRUNED" and trial.intermediate_values
    ]
    pruned = [(number, value) for number, value in pruned if math.isfinite(value)]
    if pruned:
        figure.add_scatter(
            x=[number for number, _ in pruned],
            y=[scale(metric, value) for _, value in pruned],
            name="pruned", mode="markers", marker={"symbol": "x-thin-open", "color": COLORS[6]},
        )  # fmt: skip
    figure.add_scatter(
        x=[trial.number for trial in complete],
        y=[scale(metric, trial.values[0]) for trial in complete],
        name="search", mode="markers", marker={"color": COLORS[0]},
    )  # fmt: skip
    best = list(
        itertools.accumulate(
            (trial.values[0] for trial in complete),
            lambda a, b: sign * max(sign * a, sign * b),
        )
    )
    figure.add_scatter(
        x=[trial.number for trial in complete], y=[scale(metric, value) for value in best],
        name="best so far", mode="lines", line={"color": COLORS[0], "shape": "hv"},
    )  # fmt: skip
    finalists = [
        row for row in found.board.rows if row.role == "finalist" and row.cv_mean is not None
    ]
    if finalists:
        figure.add_scatter(
            x=[row.number for row in finalists],
            y=[scale(metric, row.cv_mean or 0.0) for row in finalists],
            name="finalist, all folds", mode="markers",
            marker={"symbol": "diamond", "color": COLORS[2], "size": 9},
        )  # fmt: skip
    baselines = [
        row for row in found.board.rows if row.role == "baseline" and row.value is not None
    ]
    for index, row in enumerate(baselines[:3]):
        add_line(
            figure, f"baseline {row.label}",
            [0, len(found.reading.trials) - 1], [scale(metric, row.value or 0.0)] * 2,
            color=COLORS[(1, 3, 4)[index]],
        )  # fmt: skip
    title = "History, with the best baselines as lines"
    shown = [
        scale(metric, value) for value in (*(t.values[0] for t in complete), *dict(pruned).values())
    ]
    lines = [scale(metric, row.value or 0.0) for row in baselines[:3]]
    if num_far := _leave_out_far(figure, shown, lines, sign):
        title += f" (left out: {num_far} trials far {'below' if sign > 0 else 'above'})"
    return Figure(name="history", title=title, figure=figure)


def _leave_out_far(
    figure: go.Figure, values: Sequence[float], lines: Sequence[float], sign: int
) -> int:
    """Let the axis leave out the worst fifth if it would hide the others; return how many are out.

    ``lines`` stay in. A double click on the figure shows all.
    """
    ordered = sorted(values, key=lambda value: sign * value)
    best, middle, fifth = ordered[-1], ordered[len(ordered) // 2], ordered[len(ordered) // 5]
    reach = 4 * max(abs(best - fifth), abs(best - middle))
    if reach == 0 or abs(best - ordered[0]) <= reach:
        return 0
    worst = min([best - sign * reach, *lines], key=lambda value: sign * value)
    margin = sign * abs(best - worst) / 20
    figure.update_yaxes(range=sorted([worst - margin, best + margin]))
    return sum(sign * value < sign * (worst - margin) for value in values)


def _draw_gain(found: Findings, complete: Sequence[FrozenTrial]) -> Figure:
    """Draw the best so far against the epochs spent, beside the same trials in random order."""
    metric, sign = found.board.metric, found.board.sign
    epochs = {record.number: record.epochs for record in found.reading.records}
    trials = [trial for trial in found.search_trials if trial.state.is_finished()]
    spent = list(itertools.accumulate(epochs[trial.number] for trial in trials))
    finished = {trial.number: sign * trial.values[0] for trial in complete}
    values = [finished.get(trial.number, -math.inf) for trial in trials]
    best = list(itertools.accumulate(values, max))
    begun = next(index for index, value in enumerate(best) if value > -math.inf)
    figure = make_chart("epochs trained", f"{name_with_unit(metric)}, search folds")
    add_line(
        figure, "this search", spent[begun:],
        [scale(metric, sign * value) for value in best[begun:]], color=COLORS[0],
    )  # fmt: skip
    expected = expect_best(list(finished.values()))
    mean_cost = spent[-1] / len(complete)
    add_line(
        figure, "its finished trials in random order",
        [mean_cost * count for count in range(1, len(complete) + 1)],
        [scale(metric, sign * value) for value in expected], color=COLORS[1],
    )  # fmt: skip
    return Figure(
        name="gain",
        title="Best so far by epochs trained, beside the same trials in random order",
        figure=figure,
    )


def expect_best(values: Sequence[float]) -> list[float]:
    """Return the expected largest of k values drawn without replacement, for k of 1 to all.

    The i-th smallest of n is the largest of k in C(i - 1, k - 1) of the C(n, k) draws.
    """
    ordered, count = sorted(values), len(values)
    return [
        sum(
            math.comb(index, drawn - 1) / math.comb(count, drawn) * value
            for index, value in enumerate(ordered)
        )
        for drawn in range(1, count + 1)
    ]


def _draw_front(found: Findings) -> Figure:
    import optuna

    objectives = found.reading.spec.objective
    drawn = objectives[:_MOST_AXES]
    figure = optuna.visualization.plot_pareto_front(
        copy_search(found, has_all_objectives=True),
        targets=lambda trial: trial.values[:_MOST_AXES],
        target_names=[name_with_unit(objective.metric) for objective in drawn],
    )
    title = "The Pareto front of the search"
    if len(drawn) < len(objectives):
        title += f", the first {len(drawn)} of {len(objectives)} objectives"
    return Figure(name="pareto", title=title, figure=dress(figure))


def _show_pruning(
    found: Findings, ended: Sequence[FrozenTrial], complete: Sequence[FrozenTrial]
) -> Iterator[Block]:
    import optuna

    pruned = [trial for trial in ended if trial.state.name == "PRUNED"]
    records = {record.number: record for record in found.reading.records}
    asked = max((records[trial.number].epochs for trial in complete), default=0)
    ran = sum(records[trial.number].epochs for trial in ended)
    best = _find_best(found, complete)
    doubtful = [trial for trial in pruned if was_ahead(trial, best, found.board.sign)]
    median = statistics.median(records[trial.number].epochs for trial in pruned)
    yield Items(
        title="What pruning saved",
        items=[
            f"{len(pruned)} of {len(ended)} trials were pruned, after {median:g} epochs at the "
            "median.",
            f"{ran:,} epochs were trained of {asked * len(ended):,} without pruning "
            f"({1 - ran / max(1, asked * len(ended)):.0%} saved).",
            "None of them was ahead of the best trial at its epoch."
            if not doubtful
            else f"{len(doubtful)} of them were ahead of the best trial, #{best.number}, at their "
            "last epoch, so they might have mattered.",
        ],
    )
    study = copy_search(found)
    title = "Learning curves of the search, by which pruning decides"
    if len(ended) > _MOST_DRAWN:
        chosen = {trial.number for trial in ended[:: math.ceil(len(ended) / _MOST_DRAWN)]}
        study = copy_search(found, lambda trial: trial.number in chosen)
        title += f" ({len(chosen)} of {len(ended)} trials are drawn)"
    figure = dress(optuna.visualization.plot_intermediate_values(study))
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title="epoch")
    count_in_wholes(figure, asked)
    figure.update_yaxes(title=name_with_unit(found.board.metric))
    yield Figure(name="learning-curves", title=title, figure=figure)


def was_ahead(trial: FrozenTrial, best: FrozenTrial, sign: int) -> bool:
    """Return whether a pruned trial was better at its last epoch than the best one at the same."""
    if not trial.intermediate_values:
        return False
    epoch = max(trial.intermediate_values)
    reached = trial.intermediate_values[epoch]
    theirs = best.intermediate_values.get(epoch)
    return theirs is not None and sign * reached > sign * theirs
