"""The report's figures of the search's parameters: which matter, and what goes with the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from searchlab.report.formatting import name_with_unit
from searchlab.report.page.blocks import Block, Figure, Paragraph
from searchlab.report.page.charts import COLORS, dress, make_chart
from searchlab.report.page.search_copy import copy_search

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from searchlab.report.page.findings import Findings

__all__ = ["draw_parameters"]

_NUM_SLICES = 3
_FEWEST = 4  # trials that importance can be told from
_FEW_VALUES = 12  # of an integer, each of which is marked on its axis
_POOR, _GOOD = "#9aa5b1", "#d55e00"  # both can be seen on light and on dark pages


def draw_parameters(
    found: Findings, complete: Sequence[FrozenTrial], best: FrozenTrial
) -> Iterator[Block]:
    """Draw what matters among all trials, then among those of the best one's family."""
    family = best.params.get("family")
    parts = [("all", "all families", copy_search(found))]
    of_family = copy_search(found, lambda trial: trial.params.get("family") == family)
    families = {trial.params.get("family") for trial in complete}
    if len(families) > 1:
        parts.append(("family", f"the {family} trials", of_family))
    important: dict[str, float] = {}
    for key, title, study in parts:
        important = _find_importance(study)
        if important:
            yield _draw_importance(key, title, important)
    if not important:
        yield Paragraph("The search has too few finished trials to tell which parameters matter.")
        return
    names = list(important)
    yield _draw_parallel(of_family, names, found)
    for name in names[:_NUM_SLICES]:
        yield _draw_slice(of_family, name, found)
    if len(names) > 1:
        yield _draw_contour(of_family, names[0], names[1], found)


def _find_importance(study: Study) -> dict[str, float]:
    """Return each varied parameter's importance, the largest first."""
    import optuna

    trials = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    shared = set.intersection(*(set(trial.params) for trial in trials)) if trials else set()
    varied = [name for name in shared if len({str(t.params[name]) for t in trials}) > 1]
    values = {trial.values[0] for trial in trials}
    if len(trials) < _FEWEST or not varied or len(values) < 2:
        return {}
    return optuna.importance.get_param_importances(study, params=sorted(varied))


def _draw_importance(key: str, title: str, important: dict[str, float]) -> Figure:
    figure = make_chart("share of the variance", "")
    names = list(reversed(important))
    figure.update_xaxes(range=[0, 1.25 * max(important.values())])  # with room for the numbers
    figure.add_bar(
        x=[important[name] for name in names], y=names, orientation="h",
        marker={"color": COLORS[0]}, text=[f"{important[name]:.2f}" for name in names],
        textposition="outside", cliponaxis=False,
    )  # fmt: skip
    return Figure(
        name=f"importance-{key}", title=f"Which parameters matter, {title}", figure=figure
    )


def _draw_parallel(study: Study, names: Sequence[str], found: Findings) -> Figure:
    import optuna

    figure = optuna.visualization.plot_parallel_coordinate(
        study, params=list(names[:6]), target_name=name_with_unit(found.board.metric)
    )
    figure = dress(figure)
    _colour_lines(figure, found.board.sign)
    wholes = _list_wholes(study)
    figure.layout.annotations = [
        one
        for one in figure.layout.annotations
        if _label_at(figure, one.x) not in wholes or one.text.isdigit()
    ]
    figure.update_layout(margin={"l": 90, "r": 60, "t": 56, "b": 40}, height=400)
    return Figure(
        name="parallel",
        title="Parameters and figures together, a line for each trial",
        figure=figure,
        wide=True,
    )


def _colour_lines(figure: go.Figure, sign: int) -> None:
    """Let the best trials stand out: Optuna's blues fade into a light or into a dark page."""
    from plotly.colors import find_intermediate_color

    lines = [line for line in figure.data if line.mode == "lines" and line.customdata is not None]
    values = [sign * float(line.customdata[0][1]) for line in lines]
    low, high = min(values), max(values)
    ends = [tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)) for c in (_POOR, _GOOD)]
    for line, value in zip(lines, values, strict=True):
        share = (value - low) / (high - low) if high > low else 1.0
        mixed = find_intermediate_color(*ends, share)
        line.line.color = f"rgb({','.join(str(round(255 * part)) for part in mixed)})"
        line.opacity = 0.3 + 0.6 * share
    scale = [[0, _POOR], [1, _GOOD]]
    figure.update_traces(
        marker={"colorscale": scale, "reversescale": sign < 0}, selector={"mode": "markers"}
    )


def _label_at(figure: go.Figure, place: float) -> str:
    """Return the axis's label: its parameter."""
    labels: tuple[str, ...] = figure.layout.xaxis.ticktext
    return labels[round(place)]


def _list_wholes(study: Study) -> set[str]:
    """Return the parameters that are integers of few values."""
    from optuna.distributions import IntDistribution

    return {
        name
        for trial in study.get_trials(deepcopy=False)
        for name, spread in trial.distributions.items()
        if isinstance(spread, IntDistribution) and spread.high - spread.low < _FEW_VALUES
    }


def _draw_slice(study: Study, name: str, found: Findings) -> Figure:
    import optuna

    figure = optuna.visualization.plot_slice(
        study, params=[name], target_name=name_with_unit(found.board.metric)
    )
    if name in _list_wholes(study):
        figure.update_xaxes(dtick=1)
    figure = dress(figure)
    figure.update_traces(marker={"line": {"color": _POOR, "width": 1}})
    return Figure(name=f"slice-{_slug(name)}", title=f"By {name}", figure=figure)


def _draw_contour(study: Study, first: str, second: str, found: Findings) -> Figure:
    import optuna

    figure = optuna.visualization.plot_contour(
        study, params=[first, second], target_name=name_with_unit(found.board.metric)
    )
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        if axis.title.text in _list_wholes(study):
            axis.dtick = 1
    return Figure(name="contour", title=f"By {first} and {second}", figure=dress(figure))


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
