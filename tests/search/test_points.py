"""Points of a space: grids, reference points, and one factor varied at a time."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchlab.config.space import SpaceSpec
from searchlab.errors import InputError
from searchlab.search.space.points import grid, one_at_a_time, reference_point

CONDITIONAL: dict[str, Any] = {
    "lr": [0.1, 0.01],
    "batch_size": 64,
    "family": {
        "cnn": {
            "depth": {"low": 1, "high": 3},
            "width": {"each_layer": [4, 8]},
            "kernel": {"each_layer": [3, 5]},
            "activation": ["relu", "gelu"],
        },
        "fcn": {"depth": [1, 2], "width": [8, 16, 32]},
        "a1": {},
    },
}


def make_space(parameters: dict[str, Any]) -> SpaceSpec:
    return SpaceSpec.model_validate({"parameters": parameters})


def _freeze(points: list[dict[str, Any]]) -> set[frozenset[tuple[str, Any]]]:
    return {frozenset(point.items()) for point in points}


def _brute_force() -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    for lr in (0.1, 0.01):
        shared = {"lr": lr, "batch_size": 64}
        points.append({**shared, "family": "a1"})
        for depth, width in itertools.product((1, 2), (8, 16, 32)):
            points.append({**shared, "family": "fcn", "fcn.depth": depth, "fcn.width": width})
        for depth, activation in itertools.product((1, 2, 3), ("relu", "gelu")):
            for widths in itertools.product((4, 8), repeat=depth):
                for kernels in itertools.product((3, 5), repeat=depth):
                    point = {**shared, "family": "cnn", "cnn.depth": depth}
                    point["cnn.activation"] = activation
                    point |= {f"cnn.layer{i}.width": value for i, value in enumerate(widths)}
                    point |= {f"cnn.layer{i}.kernel": value for i, value in enumerate(kernels)}
                    points.append(point)
    return points


def test_grid_has_every_combination_once() -> None:
    space = make_space(CONDITIONAL)
    points, expected = grid(space, points=5, seed=0), _brute_force()
    assert len(points) == len(expected) == space.size().discrete
    assert _freeze(points) == _freeze(expected)


def _choices(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)


_OWN = {
    "depth": _choices([1, 2, 3]) | st.integers(1, 3),
    "width": st.fixed_dictionaries({"each_layer": _choices([4, 8])}) | _choices([4, 8]),
    "activation": _choices(["relu", "gelu"]),
}


@given(
    families=st.dictionaries(
        st.sampled_from(["cnn", "fcn"]), st.fixed_dictionaries({}, optional=_OWN), min_size=1
    ),
    shared=st.fixed_dictionaries(
        {}, optional={"lr": _choices([0.1, 0.2]), "init": st.just("default")}
    ),
)
def test_grid_of_any_finite_space_has_its_size_and_no_point_twice(
    families: dict[str, Any], shared: dict[str, Any]
) -> None:
    # Per-layer values without a depth follow the family's own default, which size() cannot know.
    for own in families.values():
        if isinstance(own.get("width"), dict):
            own.setdefault("depth", 2)
    space = make_space({**shared, "family": families})
    points = grid(space, points=5, seed=0)
    assert len(_freeze(points)) == len(points) == space.size().discrete


def test_grid_order_is_shuffled_by_the_seed_alone() -> None:
    space = make_space(CONDITIONAL)
    first = grid(space, points=5, seed=0)
    assert grid(space, points=5, seed=0) == first
    assert grid(space, points=5, seed=1) != first
    assert [point["family"] for point in first] != sorted(point["family"] for point in first)


def test_grid_cuts_ranges_to_points_with_both_ends() -> None:
    space = make_space({"lr": {"low": 0.001, "high": 0.1, "log": True}, "family": "cnn"})
    values = sorted(float(point["lr"]) for point in grid(space, points=3, seed=0))
    assert values == pytest.approx([0.001, 0.01, 0.1])


def test_one_at_a_time_varies_one_factor_and_what_it_brings() -> None:
    space = make_space(CONDITIONAL)
    plan = one_at_a_time(space, given={}, points=5)
    reference = plan[0]
    assert reference == reference_point(space, {})
    for point in plan[1:]:
        shared = reference.keys() & point.keys()
        varied = [name for name in shared if reference[name] != point[name]]
        assert len(varied) == 1, point
        if varied[0] == "family":
            family = point["family"]
            assert all(name.startswith(f"{family}.") for name in point.keys() - reference.keys())
        elif varied[0] == "cnn.depth":
            grown = max(int(point["cnn.depth"]), int(reference["cnn.depth"]))
            assert all(name.startswith("cnn.layer") for name in point.keys() ^ reference.keys()), (
                grown
            )
        else:
            assert point.keys() == reference.keys()
    assert len(_freeze(plan)) == len(plan)


def test_one_at_a_time_tries_every_value_of_every_factor_of_the_reference() -> None:
    space = make_space(CONDITIONAL)
    plan = one_at_a_time(space, given={"cnn.depth": 2}, points=5)
    assert plan[0]["cnn.depth"] == 2
    seen: dict[str, set[Any]] = {}
    for point in plan:
        for name, value in point.items():
            seen.setdefault(name, set()).add(value)
    assert seen["lr"] == {0.1, 0.01}
    assert seen["family"] == {"cnn", "fcn", "a1"}
    assert seen["cnn.depth"] == {1, 2, 3}
    assert seen["cnn.layer0.width"] == seen["cnn.layer1.width"] == {4, 8}
    assert seen["cnn.layer1.kernel"] == {3, 5}
    # lr, family (2), depth (2), activation, two widths, two kernels: one more each.
    assert len(plan) == 1 + 1 + 2 + 2 + 1 + 2 + 2


def test_reference_values_hold_in_every_other_point() -> None:
    space = make_space(CONDITIONAL)
    plan = one_at_a_time(space, given={"family": "fcn", "fcn.width": 32, "lr": 0.01}, points=5)
    assert plan[0] == {
        "lr": 0.01,
        "batch_size": 64,
        "family": "fcn",
        "fcn.depth": 1,
        "fcn.width": 32,
    }
    assert sum(point.get("fcn.width", 32) != 32 for point in plan) == 2
    assert sum(point["lr"] != 0.01 for point in plan) == 1


@pytest.mark.parametrize(
    ("given", "pieces"),
    [
        ({"lr": 0.5}, ["search.reference.lr must lie in the space", "0.5"]),
        ({"cnn.dept": 2}, ["search.reference.cnn.dept", "Did you mean cnn.depth"]),
        ({"fcn.width": 8}, ["search.reference.fcn.width", "not a searched parameter"]),
        ({"batch_size": 64}, ["search.reference.batch_size", "not a searched parameter"]),
        ({"cnn.layer2.width": 4}, ["search.reference.cnn.layer2.width"]),  # the depth is 2
    ],
)
def test_reference_outside_the_space_is_refused(given: dict[str, Any], pieces: list[str]) -> None:
    with pytest.raises(InputError) as error:
        one_at_a_time(make_space(CONDITIONAL), given=given, points=5)
    for piece in pieces:
        assert piece in str(error.value)
