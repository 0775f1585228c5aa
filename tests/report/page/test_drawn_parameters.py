"""The figures of the search's parameters: the best trials stand out, and integers stay whole."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from planted_studies import find
from trial_records import make_record

from searchlab.report.page.blocks import Figure
from searchlab.report.page.parameters import draw_parameters

SPREADS = {"lr": FloatDistribution(1e-3, 1e-1, log=True), "depth": IntDistribution(1, 3)}
VALUES = (0.4, 0.9, 0.6, 0.5, 0.7, 0.8)


def draw(metric: str) -> dict[str, Any]:
    """Return the figures of six trials, by name; the second has the largest value."""
    trials = [
        optuna.trial.create_trial(
            value=value,
            params={"lr": 0.01 + 0.01 * value, "depth": 1 + index % 3},
            distributions=SPREADS,
        )
        for index, value in enumerate(VALUES)
    ]
    for number, trial in enumerate(trials):
        trial.number = number
    records = [make_record(number, value=value) for number, value in enumerate(VALUES)]
    found = find(records, trials, objective={"metric": metric})
    best = max(trials, key=lambda trial: found.board.sign * (trial.value or 0.0))
    blocks = draw_parameters(found, trials, best)
    return {one.name: one.figure for one in blocks if isinstance(one, Figure)}


@pytest.mark.parametrize(("metric", "best"), [("accuracy", 1), ("loss", 0)])
def test_the_best_trial_has_the_strongest_line(metric: str, best: int) -> None:
    figure = draw(metric)["parallel"]
    lines = [line for line in figure.data if line.mode == "lines"]
    strengths = [line.opacity for line in lines]
    assert len(lines) == len(VALUES)
    assert strengths.index(max(strengths)) == best
    assert lines[best].line.color == "rgb(213,94,0)"


def test_an_integer_is_marked_at_whole_numbers() -> None:
    figures = draw("accuracy")
    labels = list(figures["parallel"].layout.xaxis.ticktext)
    marked = {
        note.text for note in figures["parallel"].layout.annotations
        if labels[round(note.x)] == "depth"
    }  # fmt: skip
    assert marked == {"1", "2", "3"}
    assert figures["slice-depth"].layout.xaxis.dtick == 1
