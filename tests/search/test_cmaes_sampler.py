"""CMA-ES without a state of its own, and the Sobol sequence: both live in the unit cube."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ledger_driving import open_space, open_study
from optuna.storages import InMemoryStorage
from sampler_driving import NUM_BASELINES, flat_space, run_study, search_of, search_spec

from searchlab.search.samplers.replayed_cmaes import ReplayedCmaEsSampler
from searchlab.search.samplers.sobol import SobolSampler
from searchlab.search.samplers.unit_cube import to_unit


def test_cmaes_keeps_numbers_only_with_its_trials() -> None:
    storage = InMemoryStorage()
    study = run_study(search_spec("cmaes", 12), storage=storage)
    assert storage.get_study_system_attrs(study._study_id) == {}
    for trial in study.get_trials(deepcopy=False)[NUM_BASELINES:]:
        own = {name: value for name, value in trial.system_attrs.items() if "cmaes" in name}
        (place,) = own.values()
        assert len(place) == len(flat_space().nodes)
        assert json.loads(json.dumps(place)) == place


def test_cmaes_narrows_down_on_a_numeric_space() -> None:
    space = {
        "parameters": {
            "lr": {"low": 1e-4, "high": 1e-1, "log": True},
            "dropout": {"low": 0.0, "high": 0.5},
            "family": ["fcn"],
        }
    }
    spec = search_spec("cmaes", 150, space=space, baselines={"architectures": []})
    flat, study = flat_space(space=space, baselines={"architectures": []}), open_study(spec)
    distances = []
    for _ in range(150):
        trial = study.ask()
        open_space(spec).suggest(trial)
        places = [to_unit(flat.nodes[name], trial.params[name]) for name in ("lr", "dropout")]
        distances.append(abs(places[0] - 0.8) + abs(places[1] - 0.3))
        study.tell(trial, distances[-1])
    assert sum(distances[-10:]) < 0.2 * sum(distances[:10])


def test_the_first_population_is_as_large_as_a_short_search_is_warned_of() -> None:
    spaces: list[dict[str, Any]] = [
        {"lr": {"low": 1e-4, "high": 1e-1}, "family": "fcn"},  # one parameter, made two
        {"lr": {"low": 1e-4, "high": 1e-1}, "batch_size": [64, 128], "family": ["fcn", "cnn"]},
    ]
    for parameters in spaces:
        space = {"space": {"parameters": parameters}, "baselines": {"architectures": []}}
        sampler = ReplayedCmaEsSampler(flat_space(**space), 0, study_seed=0)
        expected = sampler._begin(0).population_size
        assert sampler.count_random_draws(len(sampler.flat.nodes)) == expected


def test_a_place_of_another_space_is_not_believed() -> None:
    sampler = ReplayedCmaEsSampler(flat_space(), 0, study_seed=0)
    dimension = len(sampler.flat.nodes)
    assert sampler._read([0.5] * dimension) == [0.5] * dimension
    for noted in (None, "x", [0.5], [0.5] * (dimension - 1) + ["x"], [float("nan")] * dimension):
        assert sampler._read(noted) is None


def test_trials_that_cmaes_did_not_draw_are_told_by_their_points() -> None:
    spec = search_spec("random", 30)
    drawn_by_another = run_study(spec)
    frozen = drawn_by_another.ask()
    proposals = []
    for study in (drawn_by_another, open_study(spec)):
        trial = frozen if study is drawn_by_another else study.ask()
        sampler = ReplayedCmaEsSampler(flat_space(), 0, study_seed=0)
        proposals.append(sampler.propose(search_of(study), study.trials[trial.number]))
    assert proposals[0] != proposals[1]


@pytest.mark.parametrize("first", [0, 16])
def test_sobol_points_cover_each_parameter_evenly(first: int) -> None:
    study = open_study(search_spec("random", 1))
    sampler = SobolSampler(flat_space(), 0, study_seed=5)
    points = []
    for _ in range(first + 16):
        trial = study.ask()
        points.append(sampler.propose(study, study.trials[trial.number]))
    block = points[first:]
    for name in ("lr", "dropout"):
        places = [to_unit(sampler.flat.nodes[name], point[name]) for point in block]
        assert sorted(int(place * 16) for place in places) == list(range(16))
    assert sorted(point["batch_size"] for point in block) == [64] * 8 + [128] * 8
