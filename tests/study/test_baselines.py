"""Baselines are points of the space, like their peers (docs/design.md, decision 4)."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_driving import SPACE, make_spec, open_ledger, open_study, run_to_end

from searchlab.errors import InputError
from searchlab.search.space.study_space import SpecSpace
from searchlab.study.plan import plan_baselines

SHARED = {"lr", "batch_size", "dropout", "family"}


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "one_at_a_time"])
def test_baselines_and_search_trials_share_their_distributions(sampler: str) -> None:
    spec = make_spec(search={"sampler": sampler, "trials": 8, "points": 2})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    known: dict[str, Any] = {}
    for trial in study.trials:
        assert trial.params.keys() >= SHARED, trial
        for name, distribution in trial.distributions.items():
            assert known.setdefault(name, distribution) == distribution


def test_a_baseline_has_its_fixed_settings() -> None:
    spec = make_spec(baselines={"training": {"lr": 0.02, "dropout": 0.25}})
    study = open_study(spec)
    configs = run_to_end(open_ledger(spec, study))[:2]
    assert [study.trials[number].params for number in (0, 1)] == [
        {"lr": 0.02, "batch_size": 128, "dropout": 0.25, "family": "a2", "a2.scheme": scheme}
        for scheme in ("HF", "DT")
    ]
    for config, scheme in zip(configs, ("HF", "DT"), strict=True):
        assert (config.role, config.model.family, config.model.scheme) == ("baseline", "a2", scheme)
        settings = config.settings
        assert (settings.lr, settings.dropout, settings.batch_size) == (0.02, 0.25, 128)


def test_a_baseline_family_of_the_space_takes_the_first_of_its_own_values() -> None:
    spec = make_spec(baselines={"architectures": ["cnn"], "schemes": ["HT"]})
    point = SpecSpace(spec).baseline_point(spec.baselines.grid[0])
    own = {name: value for name, value in point.items() if name.startswith("cnn.")}
    assert own["cnn.scheme"] == "HT"
    assert own["cnn.activation"] == "relu"
    assert own["cnn.layer0.width"] == 4


@pytest.mark.parametrize(
    ("training", "baselines", "pieces"),
    [
        (
            {"batch_size": 32},
            {},
            ["training.batch_size must lie in the space's batch_size (64, 128)", "got 32"],
        ),
        (
            {},
            {"training": {"lr": 0.5}},
            ["baselines.training.lr must lie in the space's lr (0.0001 to 0.1, log)", "got 0.5"],
        ),
        (
            {},
            {"training": {"dropout": 0.6}},
            ["baselines.training.dropout", "set baselines.training.dropout, or widen"],
        ),
    ],
)
def test_a_baseline_outside_the_space_is_refused(
    training: dict[str, Any], baselines: dict[str, Any], pieces: list[str]
) -> None:
    spec = make_spec(training=training, baselines=baselines)
    with pytest.raises(InputError) as error:
        plan_baselines(spec, SpecSpace(spec))
    for piece in pieces:
        assert piece in str(error.value)


def test_a_whole_number_stands_for_the_equal_choice() -> None:
    parameters = {**SPACE["parameters"], "dropout": [0, 0.5]}
    spec = make_spec(space={"parameters": parameters})  # training.dropout is 0.0
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    assert all(trial.state.name == "COMPLETE" for trial in study.trials[:2])
