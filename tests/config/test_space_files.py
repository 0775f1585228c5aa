"""Spaces: what is written reads back, and what they say of themselves is true."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_strategies import choices, int_ranges, ranges, space_data, spaces

from searchlab.config.documents import dump_yaml, parse_yaml
from searchlab.config.loading import load_space
from searchlab.config.nodes import Choice, Fixed, Range
from searchlab.config.space import EachLayer, SpaceSpec
from searchlab.config.validation import validate_document


def exact(space: SpaceSpec) -> str:
    """Text that differs wherever two spaces do, types included: 1, 1.0 and true are equal."""
    return json.dumps(space.to_data())


@given(space=spaces())
def test_space_written_as_yaml_reads_back_equal(space: SpaceSpec) -> None:
    document = parse_yaml(dump_yaml(space.to_data()), source="space.yaml")
    again = validate_document(SpaceSpec, document)
    assert again == space
    assert exact(again) == exact(space)


@given(data=space_data())
def test_space_keeps_what_was_written(data: dict[str, Any]) -> None:
    family = data["parameters"]["family"]
    if isinstance(family, dict):
        data["parameters"]["family"] = {key: own or {} for key, own in family.items()}
    assert json.dumps(SpaceSpec.model_validate(data).to_data(), sort_keys=True) == json.dumps(
        data, sort_keys=True
    )


@given(space=spaces())
def test_every_value_has_its_line(space: SpaceSpec) -> None:
    text = dump_yaml(space.to_data())
    document = parse_yaml(text, source="space.yaml")
    for name in space.parameters:
        line = text.splitlines()[document.lines["parameters", name] - 1]
        assert line.strip().startswith(name)


@given(node=ranges())
def test_listed_values_lie_in_the_range(node: Range) -> None:
    count = node.count()
    if count is None or count > 5000:
        return
    values = node.values()
    assert values is not None
    assert len(values) == count
    assert values[0] == node.low
    assert values[-1] == node.high
    assert all(node.contains(value) for value in values)


@given(node=ranges(), count=st.integers(1, 12))
def test_spread_and_middle_lie_in_the_range(node: Range, count: int) -> None:
    spread = node.spread(count)
    assert 1 <= len(spread) <= count
    assert len(set(spread)) == len(spread)
    for value in (*spread, node.middle()):
        assert node.contains(value)
        assert isinstance(value, int) == node.is_int
    if count > 1:
        assert spread[0] == node.low
        assert spread[-1] == node.high


@given(node=ranges())
def test_range_contains_its_ends_and_nothing_beyond(node: Range) -> None:
    assert node.contains(node.low)
    assert node.contains(node.high)
    assert not node.contains(math.nextafter(node.low, -math.inf))
    assert not node.contains(math.nextafter(node.high, math.inf))
    assert not node.contains(math.nan)
    assert not node.contains(True)
    assert not node.contains("0")


def test_int_range_holds_no_fractions() -> None:
    node = Range(low=1, high=10)
    assert node.contains(3)
    assert node.contains(3.0)
    assert not node.contains(3.5)


def test_stepped_range_holds_its_steps_only() -> None:
    node = Range(low=0.1, high=0.3, step=0.1)
    assert node.values() == (0.1, 0.2, 0.3)
    assert not node.contains(0.15)
    assert Range(low=2, high=8, step=3).values() == (2, 5, 8)
    assert not Range(low=2, high=8, step=3).contains(4)


def test_step_is_judged_with_the_rounding_of_its_ends() -> None:
    node = Range(low=1e9, high=1e9 + 1, step=0.1)
    assert all(node.contains(value) for value in node.values() or ())
    assert node.count() == 11


def test_log_spread_is_even_in_the_logarithm() -> None:
    assert Range(low=1e-4, high=1e-1, log=True).spread(4) == pytest.approx((1e-4, 1e-3, 1e-2, 0.1))
    assert Range(low=1, high=100, log=True).middle() == 10


@pytest.mark.parametrize("ends", [{"low": -1e308, "high": 1e308}, {"low": 5e-324, "high": 1e308}])
def test_spread_survives_ends_whose_difference_is_not_finite(ends: dict[str, float]) -> None:
    node = Range(**ends, log=ends["low"] > 0)
    assert all(node.contains(value) for value in node.spread(5))


def test_huge_int_range_is_counted_not_listed() -> None:
    node = Range(low=1, high=10**15)
    assert node.count() == 10**15
    assert node.spread(3) == (1, 500_000_000_000_000, 10**15)
    space = SpaceSpec.model_validate(
        {"parameters": {"family": {"cnn": {"seed": {"low": 1, "high": 10**15}}}}}
    )
    assert space.size().discrete == 10**15


@pytest.mark.parametrize(
    ("node", "inside", "outside"),
    [
        (Fixed(1), [1, 1.0], [True, 2, "1"]),
        (Fixed(True), [True], [1, False, "true"]),
        (Choice(("relu", 1)), ["relu", 1], ["gelu", True, "1"]),
    ],
)
def test_fixed_and_choice_contain_their_values(
    node: Fixed | Choice, inside: list[Any], outside: list[Any]
) -> None:
    assert all(node.contains(value) for value in inside)
    assert not any(node.contains(value) for value in outside)


def test_deciding_values_are_choices_and_ends() -> None:
    nodes = [
        Fixed(3),
        Choice((1, 2)),
        Range(low=1, high=9),
        EachLayer(each_layer=Choice((4, 5))),
        EachLayer(each_layer=Range(low=0.5, high=1.5)),
    ]
    assert [node.ends() for node in nodes] == [
        (3,), (1, 2), (1, 9), (4, 5), (0.5, 1.5),
    ]  # fmt: skip


def enumerate_space(data: dict[str, Any]) -> set[str]:
    """List every configuration of a discrete space the slow way, from the written data."""

    def values(node: Any) -> list[Any]:
        if isinstance(node, dict):
            return list(range(node["low"], node["high"] + 1, node.get("step", 1)))
        return node if isinstance(node, list) else [node]

    parameters = dict(data["parameters"])
    family = parameters.pop("family")
    if not isinstance(family, dict):
        family = {name: {} for name in values(family)}
    found: set[str] = set()
    for shared in itertools.product(*map(values, parameters.values())):
        for name, own in family.items():
            for depth in values((own or {}).get("depth", 1)):
                columns: list[list[Any]] = []
                for key, node in (own or {}).items():
                    if key == "depth":
                        columns.append([depth])
                    elif isinstance(node, dict) and "each_layer" in node:
                        columns.extend([values(node["each_layer"])] * depth)
                    else:
                        columns.append(values(node))
                for point in itertools.product(*columns):
                    found.add(repr((shared, name, point)))
    return found


_SMALL = choices(st.integers(1, 9), max_size=3) | int_ranges(1, 4)


@settings(max_examples=50)
@given(
    data=st.fixed_dictionaries(
        {
            "parameters": st.fixed_dictionaries(
                {
                    "family": st.dictionaries(
                        st.sampled_from(["cnn", "fcn"]),
                        st.fixed_dictionaries(
                            {},
                            optional={
                                "depth": st.integers(0, 3) | int_ranges(1, 3),
                                "width": _SMALL | st.fixed_dictionaries({"each_layer": _SMALL}),
                                "kernel": st.fixed_dictionaries({"each_layer": st.just([3, 5])}),
                                "activation": st.just(["relu", "gelu"]) | st.just("relu"),
                            },
                        ),
                        min_size=1,
                    )
                },
                optional={"batch_size": _SMALL, "optimizer": st.just(["adam", "sgd"])},
            )
        }
    )
)
def test_size_counts_what_enumeration_finds(data: dict[str, Any]) -> None:
    size = SpaceSpec.model_validate(data).size()
    assert size.num_continuous == 0
    assert size.discrete == len(enumerate_space(data))


def test_size_counts_continuous_parameters_apart() -> None:
    space = SpaceSpec.model_validate(
        {
            "parameters": {
                "lr": {"low": 1e-4, "high": 0.1, "log": True},
                "batch_size": [64, 128],
                "family": {
                    "cnn": {
                        "depth": {"low": 1, "high": 3},
                        "rate": {"each_layer": {"low": 0.0, "high": 0.5}},
                    },
                    "fcn": {"depth": [2, 3, 4]},
                },
            }
        }
    )
    size = space.size()
    assert size.discrete == 2 * (3 + 3)
    assert size.num_continuous == 1 + 3
    assert str(size) == "12 configurations x 4 continuous parameters"


def test_single_point_is_one_configuration() -> None:
    space = SpaceSpec.model_validate({"parameters": {"family": "cnn", "lr": 0.1}})
    assert str(space.size()) == "1 configuration"


def test_each_layer_without_depth_counts_one_layer() -> None:
    own = {"width": {"each_layer": [16, 32, 64]}}
    space = SpaceSpec.model_validate({"parameters": {"family": {"cnn": own}}})
    assert space.size().discrete == 3


@pytest.mark.parametrize("depth", ["deep", {"low": 1.0, "high": 3.0}, True])
def test_size_leaves_a_senseless_depth_to_the_family(depth: Any) -> None:
    own = {"depth": depth, "width": {"each_layer": [16, 32]}}
    assert SpaceSpec.model_validate({"parameters": {"family": {"cnn": own}}}).size().discrete == 2


@pytest.mark.parametrize("family", ["cnn", ["cnn"], {"cnn": None}, {"cnn": {}}])
def test_families_can_be_named_in_every_short_way(family: Any) -> None:
    assert SpaceSpec.model_validate({"parameters": {"family": family}}).families == {"cnn": {}}


@given(space=spaces())
def test_other_families_leave_the_shared_parameters(space: SpaceSpec) -> None:
    other = space.with_families({**space.families, "a1": {"scheme": Choice(("HF", "DT"))}})
    assert other.shared == space.shared
    assert other.name == space.name
    assert list(other.families) == [*dict.fromkeys([*space.families, "a1"])]
    assert SpaceSpec.model_validate(other.to_data()) == other


def test_space_file_says_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "cnn.yaml"
    path.write_text("name: cnn\nparameters:\n  lr: 1e-3\n  family: cnn\n")
    file = load_space(path)
    assert file.space.shared == {"lr": Fixed(0.001)}
    assert file.document.where(("parameters", "lr")) == f"{path}:3: parameters.lr"
