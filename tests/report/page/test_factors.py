"""One factor at a time: each trial stands under its factor, and effects are sized."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from planted_studies import find
from trial_records import make_record

from searchlab.report.page.blocks import Figure, Section, Table
from searchlab.report.page.factors import make_factors

REFERENCE = {"lr": 0.001, "init": "default", "family": "cnn", "cnn.depth": 2}
POINTS: list[tuple[dict[str, Any], tuple[float, ...]]] = [
    (REFERENCE, (0.90, 0.92)),
    ({**REFERENCE, "lr": 0.1}, (0.10, 0.10)),
    ({**REFERENCE, "lr": 0.01}, (0.94, 0.96)),
    ({**REFERENCE, "init": "normal"}, (0.88, 0.90)),
    ({"lr": 0.001, "init": "default", "family": "fcn", "fcn.width": 8}, (0.80, 0.82)),
]


def show(points: Any = POINTS, sampler: str = "one_at_a_time", **changes: Any) -> Section | None:
    records = [
        make_record(
            index, params=point, fold_values=folds, plan=f"search/{index}",
            value=statistics.fmean(folds), **changes.pop(f"trial_{index}", {}),
        )
        for index, (point, folds) in enumerate(points)
    ]  # fmt: skip
    spec = {"sampler": sampler, "trials": None} if sampler == "one_at_a_time" else {}
    return make_factors(find(records, search={"sampler": sampler, "trials": 8, **spec}))


def rows_of(section: Section, name: str) -> list[list[str]]:
    [table] = [one for one in section.blocks if isinstance(one, Table) and one.name == name]
    return [list(row) for row in table.rows]


def test_the_factor_that_moves_most_is_named_with_its_size_and_the_spread_over_folds() -> None:
    section = show()
    assert section is not None
    deviations = [statistics.stdev(folds) for _, folds in POINTS]
    spread = statistics.fmean(one**2 for one in deviations) ** 0.5
    assert section.says == (
        "lr moved the accuracy most: from 10.00 % (lr 0.1) to 95.00 % (lr 0.01), by 85.00 points, "
        f"which is {0.85 / spread:.1f} times the standard deviation over folds "
        f"({100 * spread:.2f} points)."
    )


def test_each_trial_stands_under_its_factor_in_the_order_of_values() -> None:
    section = show()
    assert section is not None
    assert [row[:3] for row in rows_of(section, "factors")] == [
        ["lr", "0.001", "#0"], ["lr", "0.01", "#2"], ["lr", "0.1", "#1"],
        ["family", "cnn", "#0"], ["family", "fcn", "#4"],
        ["init", "default", "#0"], ["init", "normal", "#3"],
    ]  # fmt: skip
    gains = [row[4] for row in rows_of(section, "factors")]
    assert gains == ["reference", "+4.00", "-81.00", "reference", "-10.00", "reference", "-2.00"]
    drawn = {one.name for one in section.blocks if isinstance(one, Figure)}
    assert drawn == {"effects", "factor-lr", "factor-family", "factor-init"}


def test_an_effect_within_the_spread_may_be_chance() -> None:
    section = show([(REFERENCE, (0.90, 0.96)), ({**REFERENCE, "lr": 0.1}, (0.91, 0.97))])
    assert section is not None
    assert section.says.endswith("(4.24 points), so it may be chance.")


def test_a_trial_that_did_not_finish_is_listed_and_not_drawn() -> None:
    section = show(trial_1={"state": "PRUNED", "stop_reason": "diverged"})
    assert section is not None
    [row] = [row for row in rows_of(section, "factors") if row[2] == "#1"]
    assert row[3:5] == ["-", "diverged"]
    assert "to 95.00 % (lr 0.01)" not in section.says.split(" (lr 0.001)")[0]
    assert section.says.startswith("family moved the accuracy most: from 81.00 % (family fcn)")


@pytest.mark.parametrize("points", [[], POINTS[:1]])
def test_without_two_finished_trials_of_a_factor_it_says_so(points: Any) -> None:
    section = show(points)
    assert section is not None
    assert section.says == "Too few trials have finished to tell one factor's effect."
    assert section.blocks == ()


def test_another_sampler_has_no_such_section() -> None:
    assert show(sampler="random") is None
