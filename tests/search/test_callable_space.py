"""A Python function in place of a space file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ledger_driving import make_spec, open_ledger, open_study, run_to_end

from searchlab.config.nodes import Choice, Range
from searchlab.config.trial import Scalar
from searchlab.errors import InfrastructureError, InputError
from searchlab.search.space.callable_space import CallableSpace, to_point

MODULE = """
def space(trial):
    family = trial.suggest_categorical("family", ["cnn", "fcn"])
    point = {
        "lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128]),
        "dropout": 0.1,
        "family": family,
    }
    if family == "cnn":
        depth = trial.suggest_int("cnn.depth", 1, 2)
        widths = [trial.suggest_categorical(f"cnn.layer{i}.width", [4, 8]) for i in range(depth)]
        point["cnn"] = {"depth": depth, "width": widths}
    else:
        point["fcn"] = {"width": trial.suggest_int("fcn.width", 8, 64, step=8)}
    return point

def rival(trial):
    return {"family": trial.suggest_categorical("family", ["cnn", "a2"])}

def unknown(trial):
    return {"family": "cnn", "lrr": 0.1}

def failing(trial):
    point = space(trial)
    if trial.number >= 2:  # -1 where no trial is asked
        raise RuntimeError("no such width")
    return point

def outside(trial):
    return {"family": "cnn", "lr": -1.0}

not_a_dict = lambda trial: 3
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "callable_for_tests.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def _spec(function: str = "space", **changes: Any) -> Any:
    return make_spec(space=f"callable_for_tests:{function}", **changes)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_callable_space_runs_a_study_with_baselines(sampler: str) -> None:
    spec = _spec(search={"sampler": sampler, "trials": 20})
    study = open_study(spec)
    configs = run_to_end(open_ledger(spec, study))
    roles = [config.role for config in configs]
    assert roles == ["baseline"] * 2 + ["search"] * 20 + ["finalist"] * 2
    known: dict[str, Any] = {}
    for trial, config in zip(study.trials, configs, strict=True):
        assert trial.state.name == "COMPLETE"
        assert trial.params.keys() >= {"family", "lr", "batch_size"}
        for name, distribution in trial.distributions.items():
            assert known.setdefault(name, distribution) == distribution
        assert config.settings.dropout == 0.1 or config.role == "baseline"
        if config.model.family == "cnn":
            depth = trial.params["cnn.depth"]
            widths = tuple(trial.params[f"cnn.layer{layer}.width"] for layer in range(depth))
            assert config.model.parameters == {"depth": depth, "width": widths}
    assert {"cnn", "fcn"} <= {config.model.family for config in configs}


def test_a_baseline_outside_a_callable_space_is_refused() -> None:
    spec = _spec(training={"batch_size": 32})
    with pytest.raises(InputError, match=r"training\.batch_size must lie in the space's"):
        CallableSpace(spec).baseline_point(spec.baselines.grid[-1])


@pytest.mark.parametrize(
    ("reference", "pieces"),
    [
        ("callable_for_tests:nothing", ["has no function nothing"]),
        ("no_such_module_here:space", ["cannot be imported", "no_such_module_here"]),
        ("callable_for_tests:rival", ["must leave the baselines' architectures", "a2"]),
        ("callable_for_tests:unknown", ["unknown parameter 'lrr'", "Did you mean lr"]),
        ("callable_for_tests:outside", ["outside: lr must be greater than 0", "-1.0"]),
        ("callable_for_tests:not_a_dict", ["must return a dict with a family", "got 3"]),
    ],
)
def test_a_callable_space_that_cannot_be_used_is_refused(reference: str, pieces: list[str]) -> None:
    with pytest.raises(InputError) as error:
        CallableSpace(make_spec(space=reference))
    for piece in pieces:
        assert piece in str(error.value)


def test_lists_become_one_parameter_per_layer() -> None:
    returned = {"family": "cnn", "cnn": {"depth": 2, "width": [4, 8]}, "lr": 0.1}
    assert to_point("m:f", returned) == {
        "family": "cnn",
        "cnn.depth": 2,
        "cnn.layer0.width": 4,
        "cnn.layer1.width": 8,
        "lr": 0.1,
    }


def test_a_function_that_fails_ends_the_search_and_runs_no_trial_again() -> None:
    spec = _spec("failing", search={"trials": 12}, baselines={"architectures": []})
    study = open_study(spec)
    with pytest.raises(InfrastructureError, match=r"5 trials in a row .*no such width"):
        run_to_end(open_ledger(spec, study))
    ends = [(trial.state.name, trial.user_attrs.get("stop_reason")) for trial in study.trials]
    assert ends == [("COMPLETE", None)] * 2 + [("FAIL", "error")] * 5


def test_each_family_s_point_has_the_values_that_are_chosen() -> None:
    def choose_greatest(_name: str, node: Choice | Range) -> Scalar:
        return node.high if isinstance(node, Range) else node.root[-1]

    points = list(CallableSpace(_spec()).family_points(choose_greatest))
    assert [point["family"] for point in points] == ["cnn", "fcn"]
    assert [points[0][name] for name in ("batch_size", "cnn.depth", "cnn.layer1.width")] == [
        128,
        2,
        8,
    ]
    assert points[1]["fcn.width"] == 64
