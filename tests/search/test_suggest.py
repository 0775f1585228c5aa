"""Every point that an Optuna trial is asked for lies in the space."""

from __future__ import annotations

from typing import Any

import optuna
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_driving import SPACE, make_spec, open_study
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from searchlab.config.nodes import Choice
from searchlab.config.seeds import derive_seed
from searchlab.config.space import EachLayer, SpaceSpec
from searchlab.records.recorded_values import params_of
from searchlab.search.space.points import suggest
from searchlab.search.space.study_space import SpecSpace


def _assert_lies_in(space: SpaceSpec, point: dict[str, Any]) -> None:
    """Check a point against the tree, without the code that unfolds it."""
    rest = dict(point)
    for name, node in space.shared.items():
        assert node.contains(rest.pop(name))
    family = rest.pop("family")
    own = space.families[family]
    depth = point.get(f"{family}.depth", 0)
    for name, node in own.items():
        if isinstance(node, EachLayer):
            for layer in range(depth):
                assert node.each_layer.contains(rest.pop(f"{family}.layer{layer}.{name}"))
        else:
            assert node.contains(rest.pop(f"{family}.{name}"))
    assert rest == {}


def _numbers(low: int, high: int) -> st.SearchStrategy[Any]:
    ends = st.lists(st.integers(low, high), min_size=2, max_size=2, unique=True).map(sorted)
    return ends.map(lambda pair: {"low": pair[0], "high": pair[1]})


_FLOATS = st.lists(st.floats(1e-6, 10), min_size=2, max_size=2, unique=True).map(sorted)
_RANGES = st.tuples(_FLOATS, st.booleans()).map(
    lambda drawn: {"low": drawn[0][0], "high": drawn[0][1], "log": drawn[1]}
)
_SPACES = st.fixed_dictionaries(
    {
        "family": st.fixed_dictionaries(
            {
                "cnn": st.fixed_dictionaries(
                    {
                        "depth": _numbers(1, 8),
                        "width": st.fixed_dictionaries(
                            {"each_layer": _numbers(1, 64) | st.just([4, 8])}
                        ),
                    }
                ),
                "fcn": st.fixed_dictionaries({}, optional={"width": _numbers(1, 64)}),
            }
        )
    },
    optional={
        "lr": _RANGES | st.just(0.1) | st.just([0.1, 0.2]),
        "dropout": st.just({"low": 0.0, "high": 0.7, "step": 0.1}),
        "batch_size": st.just([1, 32]) | _numbers(1, 256),
    },
)


@settings(max_examples=60)
@given(parameters=_SPACES, seed=st.integers(0, 2**31))
def test_every_sampled_point_lies_in_its_space(parameters: dict[str, Any], seed: int) -> None:
    space = SpaceSpec.model_validate({"parameters": parameters})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(3):
        trial = study.ask()
        point = suggest(trial, space)
        _assert_lies_in(space, point)
        searched = {name: value for name, value in point.items() if name in trial.params}
        assert searched == params_of(trial)


def test_parameters_are_named_by_their_place() -> None:
    space = SpaceSpec.model_validate(SPACE)
    fixed = {"family": "cnn", "cnn.depth": 2}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(fixed)
    trial = study.ask()
    point = suggest(trial, space)
    own = ["cnn.depth", "cnn.activation", "cnn.layer0.width", "cnn.layer1.width"]
    assert set(trial.params) == {"lr", "batch_size", "dropout", "family", *own}
    assert point["optimizer"] == "adam"  # fixed: in the point, not asked of Optuna
    assert "optimizer" not in trial.params


def test_the_recorded_space_adds_the_baselines_with_a_scheme_of_their_own() -> None:
    recorded = SpecSpace(make_spec()).recorded
    assert list(recorded.families) == ["cnn", "fcn", "a2"]
    assert recorded.families["a2"] == {"scheme": Choice(("HF", "DT"))}
    assert "scheme" not in recorded.families["cnn"]


def test_a_baseline_that_the_space_has_keeps_its_own_parameters() -> None:
    families = {"cnn": {"depth": [1, 2]}, "a2": {"scheme": "HT"}}
    spec = make_spec(
        space={"parameters": {"family": families}},
        baselines={"architectures": ["cnn", "a2"], "schemes": ["DT"]},
    )
    recorded = SpecSpace(spec).recorded
    assert recorded.families["cnn"] == {"depth": Choice((1, 2)), "scheme": Choice(("DT",))}
    assert recorded.families["a2"] == {"scheme": Choice(("HT", "DT"))}


def test_a_node_becomes_the_distribution_of_its_kind() -> None:
    parameters = {
        "lr": {"low": 0.001, "high": 0.1, "log": True},
        "dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
        "batch_size": {"low": 8, "high": 32, "step": 8},
        "optimizer": ["adam", "sgd"],
        "family": "a1",
    }
    trial = open_study(make_spec()).ask()
    suggest(trial, SpaceSpec.model_validate({"parameters": parameters}))
    assert trial.distributions == {
        "lr": FloatDistribution(0.001, 0.1, log=True),
        "dropout": FloatDistribution(0.0, 0.5, step=0.1),
        "batch_size": IntDistribution(8, 32, step=8),
        "optimizer": CategoricalDistribution(("adam", "sgd")),
    }


def test_derived_seeds_fit_what_numpy_takes() -> None:
    spec = make_spec(search={"sampler": "random", "seed": 2**63 - 1, "trials": 1})
    assert derive_seed(spec.search.seed, "x") >= 0
    suggest(open_study(spec).ask(), SpaceSpec.model_validate(SPACE))
