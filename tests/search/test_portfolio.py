"""A search may go on from its reference points to configurations that did well elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_driving import make_plan, make_spec, open_ledger, open_study, run_to_end

from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings
from searchlab.config.space import SpaceSpec
from searchlab.models import get_family
from searchlab.records.trial_record import PLAN
from searchlab.search.space.points import Point
from searchlab.search.space.portfolio import portfolio_points, read_portfolio
from searchlab.search.space.study_space import SpecSpace

LR = {"low": 1e-4, "high": 1e-1, "log": True}
PROVEN: list[dict[str, Any]] = [
    {"family": "cnn", "lr": 0.03, "optimizer": "adam", "cnn.depth": 3, "cnn.batch_norm": True},
    {"family": "cnn", "lr": 0.003, "optimizer": "adam", "cnn.depth": 1, "cnn.batch_norm": False},
    {"family": "fcn", "lr": 0.5, "schedule": "constant", "fcn.depth": 2},
]


def _space(**families: Any) -> SpecSpace:
    return SpecSpace(make_spec(space={"parameters": {"lr": LR, "family": families}}))


def _points(space: SpecSpace) -> list[Point]:
    return portfolio_points(space, TrainingSettings(), PROVEN)


def test_what_ships_fits_the_families_that_it_names() -> None:
    entries = read_portfolio()
    assert {str(entry["family"]) for entry in entries} == {"cnn", "fcn"}
    for entry in entries:
        own = {name.split(".")[-1] for name in entry if "." in name}
        assert own <= set(get_family(str(entry["family"])).parameters.field_names())
        shared = {name for name in entry if "." not in name} - {"family"}
        assert shared <= set(SHARED_PARAMETERS)
        TrainingSettings.model_validate({name: entry[name] for name in shared})


def test_values_are_moved_into_the_space_and_what_it_lacks_is_left_out() -> None:
    points = _points(_space(cnn={"depth": [1, 2], "batch_norm": [False, True]}, fcn={}))
    assert points == [
        {"family": "cnn", "lr": 0.03, "cnn.depth": 2, "cnn.batch_norm": True},
        {"family": "cnn", "lr": 0.003, "cnn.depth": 1, "cnn.batch_norm": False},
        {"family": "fcn", "lr": 0.1},
    ]


@pytest.mark.parametrize(
    ("parameters", "training", "rates"),
    [
        ({"family": {"cnn": {"depth": 1}}}, {}, [0.003]),  # no batch norm: its default
        ({"family": {"cnn": {"batch_norm": True}}}, {}, [0.03]),
        ({"family": {"cnn": {"depth": 1}}, "schedule": "cosine"}, {}, [0.003]),  # it names none
        ({"family": {"fcn": {"depth": 1}}, "schedule": "cosine"}, {}, []),
        ({"family": {"fcn": {"depth": 1}}}, {"schedule": "cosine"}, []),
        ({"family": {"fcn": {"depth": 1}}}, {"schedule": "constant"}, [0.1]),
        ({"family": {"cnn": {"depth": 1}}, "optimizer": ["sgd", "adam"]}, {}, [0.003]),
        ({"family": {"cnn": {"depth": 1}}, "optimizer": "adamw"}, {}, []),
        ({"family": {"cnn": {"depth": 1}}, "optimizer": "sgd", "momentum": 0.9}, {}, []),
    ],
)
def test_an_entry_is_tried_only_where_what_decides_its_learning_rate_is_the_same(
    parameters: dict[str, Any], training: dict[str, Any], rates: list[float]
) -> None:
    spec = make_spec(space={"parameters": {"lr": LR, **parameters}}, training=training)
    points = portfolio_points(SpecSpace(spec), spec.training, PROVEN)
    assert [point["lr"] for point in points] == rates


def test_a_family_without_an_entry_has_no_points() -> None:
    assert _points(_space(resnet={})) == []


def test_equal_points_are_tried_once() -> None:
    families = {"cnn": {"batch_norm": [False, True]}}
    space = {"parameters": {"lr": LR, "family": families}}
    [one] = portfolio_points(SpecSpace(make_spec(space=space)), TrainingSettings(), 3 * PROVEN[1:2])
    assert one["lr"] == 0.003


@pytest.mark.parametrize(("trials", "expected"), [(20, 4), (6, 3), (2, 0)])
def test_they_follow_the_reference_points_and_take_at_most_half_of_the_trials(
    trials: int, expected: int
) -> None:
    spec = make_spec(search={"start": "portfolio", "trials": trials})
    keys = [planned.key for planned in make_plan(spec).start]
    assert keys == ["start/cnn", "start/fcn", *(f"portfolio/{index}" for index in range(expected))]


def test_points_of_earlier_studies_take_turns_with_them() -> None:
    warm = [{"family": "cnn", "lr": 0.02}, {"family": "fcn", "lr": 0.02}]
    spec = make_spec(search={"start": "portfolio", "trials": 9, "warm_start": warm})
    keys = [planned.key for planned in make_plan(spec).start[2:]]
    assert keys == ["portfolio/0", "warm/0", "portfolio/1", "warm/1", "portfolio/2", "portfolio/3"]


def test_points_that_the_user_gives_are_not_crowded_out() -> None:
    warm = [{"family": "cnn", "lr": 0.01 * number} for number in range(1, 6)]
    spec = make_spec(search={"start": "portfolio", "trials": 8, "warm_start": warm})
    keys = [planned.key for planned in make_plan(spec).start[2:]]
    assert keys == ["portfolio/0", *(f"warm/{index}" for index in range(5))]


def test_they_count_as_search_trials() -> None:
    spec = make_spec(search={"start": "portfolio", "trials": 6, "sampler": "tpe"})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    keys = [one.user_attrs.get(PLAN) for one in study.trials if one.user_attrs["role"] == "search"]
    proven = ["portfolio/0", "portfolio/1", "portfolio/2"]
    assert keys == ["start/cnn", "start/fcn", *proven, None]


def test_they_are_never_pruned() -> None:
    spec = make_spec(
        search={"start": "portfolio", "trials": 20, "sampler": "tpe", "pruner": "median"},
        training={"epochs": 4},
    )
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    states = {
        (str(one.user_attrs.get(PLAN)).partition("/")[0], one.state.name)
        for one in study.trials
        if one.user_attrs["role"] == "search"
    }
    assert ("portfolio", "COMPLETE") in states
    assert ("portfolio", "PRUNED") not in states
    assert any(state == "PRUNED" for _, state in states)


def test_a_space_whose_families_have_other_names_needs_no_portfolio() -> None:
    space = SpaceSpec.model_validate({"name": "s", "parameters": {"family": {"a2": {}}}})
    spec = make_spec(space=space.model_dump(), search={"start": "portfolio", "trials": 8})
    assert [planned.key for planned in make_plan(spec).start] == ["start/a2"]
