"""The report's section on the finalists' ensemble: what they are worth together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchlab.config.metrics import DEFAULT_METRIC, get_metric
from searchlab.engine.diagnostics.results import (
    Ensembles,
    WeightedEnsemble,
    ensemble_key,
    list_members,
)
from searchlab.report.formatting import format_difference, format_value, name_with_unit
from searchlab.report.page.blocks import Block, Paragraph, Section, Table

if TYPE_CHECKING:
    from searchlab.report.page.findings import Findings

__all__ = ["make_ensemble"]


def make_ensemble(found: Findings) -> Section | None:
    """Show the ensemble beside its members; None for a study with fewer than two finalists."""
    members = list_members(found.reading.records)
    if len(members) < 2:
        return None
    measured = found.diagnostics.read(ensemble_key(members), Ensembles)
    if measured is None:
        says = found.explain_missing("ensemble")
        return Section(key="ensemble", title="Ensemble of the finalists", says=says)
    one = measured.result
    blocks: list[Block] = [_tabulate(found, one)]
    if one.without_greedy:
        blocks.append(Paragraph(f"No weights were chosen: {one.without_greedy}."))
    return Section(
        key="ensemble",
        title="Ensemble of the finalists",
        says=_summarise(found, one),
        blocks=blocks,
    )


def _choose_metric(found: Findings, one: Ensembles) -> str:
    """Return the study's first objective, or accuracy if that is not one of plain answers."""
    primary = found.reading.metrics[0]
    return primary if primary in one.average.figures else DEFAULT_METRIC


def _summarise(found: Findings, one: Ensembles) -> str:
    metric = _choose_metric(found, one)
    alone = [get_metric(metric).sign * figures[metric] for figures in one.alone]
    place = alone.index(max(alone))
    best, number = one.alone[place][metric], one.members[place]
    parts = [_compare("The mean of the finalists' probabilities", metric, one.average, best)]
    if one.greedy is not None:
        subject = f"With weights chosen on {one.held_out_images:,} held-out images, it"
        parts.append(_compare(subject, metric, one.greedy, best))
    return (
        f"The best of the {len(one.members)} finalists alone, {found.name(number)}, gives "
        f"{format_value(metric, best)} on the test images. {' '.join(parts)} An ensemble takes the "
        f"time of all its models for each image."
    )


def _compare(subject: str, metric: str, ensemble: WeightedEnsemble, best: float) -> str:
    value = ensemble.figures[metric]
    gain = get_metric(metric).sign * (value - best)
    relation = "as much"
    if gain:
        relation = f"{format_difference(metric, gain)} {'better' if gain > 0 else 'worse'}"
    return f"{subject} gives {format_value(metric, value)}, {relation}."


def _tabulate(found: Findings, one: Ensembles) -> Table:
    names = [*dict.fromkeys((_choose_metric(found, one), "loss"))]
    weights = ["" for _ in one.members]
    if one.greedy is not None:
        weights = [f"{weight:.0%}" for weight in one.greedy.weights]
    rows = [
        [
            found.name(number),
            weight,
            *(format_value(name, figures[name], unit=False) for name in names),
        ]
        for number, weight, figures in zip(one.members, weights, one.alone, strict=True)
    ]
    together = [("all alike", one.average), ("chosen weights", one.greedy)]
    rows += [
        [title, "", *(format_value(name, each.figures[name], unit=False) for name in names)]
        for title, each in together
        if each is not None
    ]
    return Table(
        name="ensemble",
        title="Each finalist and their ensemble on the test images",
        columns=[
            ("model", "left"), ("weight", "right"),
            *((name_with_unit(name), "right") for name in names),
        ],
        rows=rows,
        bold=frozenset(range(len(one.members), len(rows))),
    )  # fmt: skip
