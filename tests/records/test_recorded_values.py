"""One value is one value: a stepped range gives 0.3, not 0.30000000000000004, wherever it shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ledger_driving import make_plan, make_spec
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial
from sampler_driving import ASKED, run_study, search_spec

from searchlab.config.nodes import Range
from searchlab.config.space import SpaceSpec
from searchlab.records.recorded_values import params_of
from searchlab.records.trial_record import TrialRecord
from searchlab.search.space.points import grid, one_at_a_time
from searchlab.study.plan import choose_finalists

WRITTEN = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
AWKWARD = 0.1 + 2 * 0.1
SPACE: dict[str, Any] = {
    "parameters": {
        "lr": [0.001, 0.003, 0.01],
        "dropout": {"low": 0.1, "high": 0.7, "step": 0.1},
        "family": {"cnn": {"depth": [1, 2], "width": [4, 8], "activation": ["relu", "gelu"]}},
    }
}


def _spec(sampler: str, **search: Any) -> Any:
    training = {"epochs": 3, "dropout": 0.1}
    return search_spec(sampler, 24, space=SPACE, training=training, search=search)


@pytest.mark.parametrize(
    "sampler",
    [pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name for name in ASKED],
)
def test_every_sampler_records_the_values_that_people_write(sampler: str) -> None:
    drawn = {trial.params["dropout"] for trial in run_study(_spec(sampler)).trials}
    assert drawn <= set(WRITTEN)
    assert 0.3 in drawn or 0.6 in drawn or 0.7 in drawn, "none that floats get wrong was drawn"


@pytest.mark.parametrize("given", [0.3, AWKWARD])
def test_a_reference_point_is_not_a_second_value_of_its_range(given: float) -> None:
    space = SpaceSpec.model_validate(SPACE)
    points = one_at_a_time(space, given={"dropout": given}, points=7)
    assert {point["dropout"] for point in points} == set(WRITTEN)
    assert len(points) == 1 + 2 + 6 + 1 + 1 + 1


def test_a_grid_and_a_baseline_have_the_same_values() -> None:
    points = grid(SpaceSpec.model_validate(SPACE), points=7, seed=0)
    assert {point["dropout"] for point in points} == set(WRITTEN)
    spec = make_spec(
        space=SPACE,
        baselines={"architectures": ["a2"], "schemes": ["DT"], "training": {"dropout": AWKWARD}},
    )
    [baseline] = make_plan(spec).baselines
    assert baseline.point["dropout"] == 0.3


def test_what_was_recorded_in_floats_is_read_as_written() -> None:
    distributions = {"dropout": FloatDistribution(0.1, 0.7, step=0.1)}
    trials = [
        create_trial(value=loss, params={"dropout": dropout}, distributions=distributions)
        for loss, dropout in ((0.1, AWKWARD), (0.2, 0.3))
    ]
    assert all(json.dumps(params_of(trial)["dropout"]) == "0.3" for trial in trials)
    records = [TrialRecord.from_trial(trial) for trial in trials]
    finalists = choose_finalists(_spec("tpe"), records)
    assert [planned.point["dropout"] for planned in finalists] == [0.3], "one value, one finalist"


@pytest.mark.parametrize(
    ("node", "values"),
    [
        (Range(low=0.0, high=0.3, step=0.1), (0.0, 0.1, 0.2, 0.3)),
        (Range(low=0, high=0.6, step=0.2), (0.0, 0.2, 0.4, 0.6)),
        (Range(low=-0.3, high=0.3, step=0.3), (-0.3, 0.0, 0.3)),
        (Range(low=1.1, high=3.3, step=1.1), (1.1, 2.2, 3.3)),
        (Range(low=5e-5, high=2e-4, step=5e-5), (5e-5, 1e-4, 1.5e-4, 2e-4)),
        (Range(low=8, high=32, step=8), (8, 16, 24, 32)),
    ],
)
def test_a_stepped_range_lists_decimal_values(node: Range, values: tuple[float, ...]) -> None:
    assert node.values() == values
    assert node.spread(len(values)) == values


def test_points_of_a_range_without_steps_are_round_too() -> None:
    assert Range(low=1e-4, high=1e-1, log=True).spread(4) == (1e-4, 1e-3, 1e-2, 1e-1)
    assert Range(low=0.0, high=0.7).spread(8) == (0.0, *WRITTEN)
