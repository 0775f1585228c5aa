"""A budget that cannot be spent well is said before it is spent."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_driving import make_plan
from sampler_driving import search_spec

from searchlab.study.preparation.budget import budget_warnings

ONE = {"lr": 0.01, "family": {"fcn": {"depth": 1, "width": 8}}}
FOUR = {"lr": [0.01, 0.02], "family": {"fcn": {"depth": [1, 2], "width": 8}}}
# So many trials that every sampler has learnt.
ENDLESS = {"lr": {"low": 0.01, "high": 0.02}, "family": {"fcn": {"depth": 1, "width": 8}}}


def _warnings(sampler: str, trials: int, **changes: Any) -> list[str]:
    if "space" in changes:
        changes["space"] = {"parameters": changes["space"]}
        changes.setdefault("baselines", {"architectures": []})
    return list(budget_warnings(make_plan(search_spec(sampler, trials, **changes))))


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "cmaes", "nsga2", "evolution"])
def test_more_trials_than_configurations_are_said(sampler: str) -> None:
    [warning] = _warnings(sampler, 12, space=ONE)
    assert "search.trials is 12, but the space has only 1 configuration:" in warning
    assert "the other 11 or more trials repeat" in warning
    [warning] = _warnings(sampler, 5, space=FOUR)
    assert "only 4 configurations" in warning
    assert not any("configuration" in line for line in _warnings(sampler, 4, space=FOUR))
    assert not any("configuration" in line for line in _warnings(sampler, 90, space=ENDLESS))


@pytest.mark.parametrize(("sampler", "num_points"), [("grid", 4), ("one_at_a_time", 3)])
def test_a_planned_search_says_how_many_trials_it_has(sampler: str, num_points: int) -> None:
    [warning] = _warnings(sampler, 12, space=FOUR)
    assert f"sampler {sampler} has only {num_points} to run" in warning
    assert _warnings(sampler, num_points, space=FOUR) == []


@pytest.mark.parametrize(
    ("sampler", "num_trials", "is_said"),
    [("nsga2", 20, True), ("nsga2", 21, False), ("gp", 10, True), ("gp", 11, False)]
    + [("evolution", 20, True), ("tpe", 10, True), ("tpe", 11, False), ("random", 3, False)]
    + [("cmaes", 10, True), ("cmaes", 11, False), ("qmc", 3, False), ("tpe", 0, False)],
)
def test_a_search_that_ends_before_its_sampler_learns_is_called_random(
    sampler: str, num_trials: int, is_said: bool
) -> None:
    for start in ("reference", "random"):
        said = _warnings(sampler, num_trials, search={"start": start})
        assert [("this is a random search" in line) for line in said] == [True] * is_said
        assert ("after 2 reference points" in "".join(said)) == (is_said and start == "reference")


def test_a_search_of_reference_points_alone_is_called_that() -> None:
    [warning] = _warnings("tpe", 2)
    assert "this search tries reference points only" in warning
