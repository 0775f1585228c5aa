"""The report's section on robustness: accuracy against the largest change of a pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from searchlab.engine.diagnostics.results import AttackCurve, ModelRobustness, robustness_key
from searchlab.report.page.blocks import Figure, Section, Table
from searchlab.report.page.charts import COLORS, make_chart

if TYPE_CHECKING:
    from searchlab.report.page.findings import Findings

__all__ = ["make_robustness"]

_DASHES = ("solid", "dash", "dot")


def make_robustness(found: Findings) -> Section | None:
    """Show both models under attacks; None if the study has no model to attack."""
    if not found.subjects:
        return None
    measured = {
        found.name(record.number): one.result
        for record in found.subjects
        if (one := found.diagnostics.read(robustness_key(record.number), ModelRobustness))
    }
    if not measured:
        says = found.explain_missing("robustness")
        return Section(key="robustness", title="Robustness", says=says)
    says = " ".join(_summarise(name, one) for name, one in measured.items())
    return Section(
        key="robustness",
        title="Robustness",
        says=f"{says} An attack changes each pixel, of a range from 0 to 1, by epsilon at most.",
        blocks=[_draw(measured), _tabulate(measured)],
    )


def _summarise(name: str, one: ModelRobustness) -> str:
    clean = one.curves[0].accuracies[0]
    parts = " and ".join(map(_describe, one.curves))
    return (
        f"{name} recognises {clean:.1%} of {one.images:,} test images, and less than half of those "
        f"{parts}."
    )


def _describe(curve: AttackCurve) -> str:
    """Say at which epsilon half of the recognised images are lost."""
    half = curve.accuracies[0] / 2
    for epsilon, accuracy in zip(curve.epsilons, curve.accuracies, strict=True):
        if accuracy < half:
            return f"from epsilon {epsilon:g} on under {_name_attack(curve)}"
    return f"at no epsilon up to {curve.epsilons[-1]:g} under {_name_attack(curve)}"


def _name_attack(curve: AttackCurve) -> str:
    return curve.attack.upper() + (f" of {curve.steps} steps" if curve.steps > 1 else "")


def _draw(measured: Mapping[str, ModelRobustness]) -> Figure:
    figure = make_chart("largest change of a pixel (epsilon)", "accuracy")
    for (name, one), color in zip(measured.items(), COLORS, strict=False):
        for curve, dash in zip(one.curves, _DASHES, strict=False):
            figure.add_scatter(
                x=curve.epsilons,
                y=curve.accuracies,
                mode="lines+markers",
                name=f"{name}<br>{_name_attack(curve)}",  # or else a phone cuts it
                line={"color": color, "dash": dash},
            )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return Figure(name="robustness", title="Accuracy under attack", figure=figure)


def _tabulate(measured: Mapping[str, ModelRobustness]) -> Table:
    curves = [(name, curve) for name, one in measured.items() for curve in one.curves]
    return Table(
        name="robustness",
        title="Accuracy under attack, in %, by the largest change of a pixel",
        columns=[
            ("model", "left"), ("attack", "left"),
            *((f"{epsilon:g}", "right") for epsilon in curves[0][1].epsilons),
        ],
        rows=[
            [name, _name_attack(curve), *(f"{100 * one:.1f}" for one in curve.accuracies)]
            for name, curve in curves
        ],
    )  # fmt: skip
