"""The whole space side by side, in a unit cube; and what trials teach the samplers that see it."""

from __future__ import annotations

import random

import optuna
import pytest
from ledger_driving import make_spec, open_space, open_study
from optuna.trial import TrialState
from sampler_driving import (
    NUM_BASELINES,
    finish_in_every_way,
    flat_space,
    loss_of,
    run_study,
    search_of,
    search_spec,
)

from searchlab.config.nodes import Choice, Range
from searchlab.search.samplers.observations import known_points, observe, running_points
from searchlab.search.samplers.unit_cube import from_unit, mirror, to_unit

NODES = {
    "choice": Choice(("a", "b", "c")),
    "mixed": Choice((1, "two", 0.5)),
    "float": Range(low=-1.0, high=3.0),
    "log": Range(low=1e-4, high=1e-1, log=True),
    "int": Range(low=2, high=5),
    "int steps": Range(low=8, high=64, step=8),
    "int log": Range(low=1, high=100, log=True),
    "float steps": Range(low=0.1, high=0.3, step=0.1),
    "vast": Range(low=-1.5e308, high=1.5e308),
}


@pytest.mark.parametrize("name", NODES)
def test_every_place_is_a_value_of_the_space_and_comes_back(name: str) -> None:
    node = NODES[name]
    for index in range(101):
        value = from_unit(node, index / 100)
        assert node.contains(value)
        again = from_unit(node, to_unit(node, value))
        assert again == (pytest.approx(value) if isinstance(value, float) else value)
    if (values := node.values()) is not None:
        assert {from_unit(node, index / 10_000) for index in range(10_001)} == set(values)
        assert [from_unit(node, to_unit(node, value)) for value in values] == list(values)


def test_bins_are_equally_likely_and_logarithms_even() -> None:
    assert to_unit(NODES["choice"], "b") == pytest.approx(0.5)
    assert from_unit(NODES["choice"], 0.32) == "a"
    assert from_unit(NODES["choice"], 0.34) == "b"
    assert from_unit(NODES["log"], 1 / 3) == pytest.approx(1e-3)
    assert from_unit(NODES["int log"], 0.5) == 7  # the root of 0.5 times 100.5


@pytest.mark.parametrize(
    ("place", "folded"), [(0.3, 0.3), (-0.2, 0.2), (1.2, 0.8), (2.3, 0.3), (-3.1, 0.9), (1.0, 1.0)]
)
def test_places_outside_the_cube_are_mirrored_into_it(place: float, folded: float) -> None:
    assert mirror(place) == pytest.approx(folded)


def test_the_flat_space_has_every_family_and_layer_and_nothing_settled() -> None:
    assert list(flat_space().nodes) == [
        *("lr", "batch_size", "dropout", "family", "cnn.depth", "cnn.activation"),
        *("cnn.layer0.width", "cnn.layer1.width", "fcn.depth", "fcn.width"),
    ]


def test_its_distributions_are_those_that_trials_are_asked_for() -> None:
    flat = flat_space()
    distributions = flat.distributions()
    study = search_of(run_study(search_spec("random", 12)))
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            if not distribution.single():
                assert distributions[name] == distribution


def test_the_active_part_of_a_flat_point_is_what_a_trial_would_have() -> None:
    spec = make_spec()
    flat, study = flat_space(), open_study(spec)
    rng = random.Random(0)
    sizes = set()
    for _ in range(50):
        point = flat.draw(rng)
        study.enqueue_trial(point)
        asked = open_space(spec).suggest(study.ask())
        active = flat.active(point)
        assert active == {name: asked[name] for name in flat.nodes if name in asked}
        assert flat.decode(flat.encode(point)) == pytest.approx(point)
        sizes.add(len(active))
    assert len(sizes) > 2


def test_a_point_is_settled_when_nothing_of_it_is_open() -> None:
    flat = flat_space()
    point = flat.active({**flat.impute({}), "family": "cnn", "cnn.depth": 2})
    assert flat.is_settled(point)
    for name in point:
        assert not flat.is_settled({other: point[other] for other in point if other != name})


def test_missing_parameters_are_imputed_with_fixed_values() -> None:
    imputed = flat_space().impute({"family": "fcn", "fcn.width": 64})
    assert imputed["fcn.width"] == 64
    assert imputed["cnn.layer1.width"] == 4
    assert imputed["dropout"] == pytest.approx(0.25)


def test_pruned_trials_teach_their_best_epoch_and_diverged_ones_the_worst() -> None:
    study = search_of(run_study(search_spec("random", 14), finish=finish_in_every_way))
    observations = {item.number: item for item in observe(study)}
    worst = max(item.losses[0] for item in observations.values())
    kinds = set()
    for trial in study.get_trials(deepcopy=False):
        kind = trial.number % 5
        kinds.add(kind)
        if kind == 3 and trial.number > 8:
            assert trial.number not in observations
        elif kind == 2:
            assert observations[trial.number].losses == (worst,)
        elif kind == 1:
            assert observations[trial.number].losses == (loss_of(trial.params) + 0.5,)
        else:
            assert observations[trial.number].losses == (loss_of(trial.params),)
    assert kinds == set(range(5))
    assert min(observations) == NUM_BASELINES


def test_less_is_better_whatever_the_direction() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    trial = study.ask()
    trial.suggest_float("lr", 0.0, 1.0)
    study.tell(trial, [0.9, 3.0])
    assert [item.losses for item in observe(study)] == [(-0.9, 3.0)]


def test_failed_trials_teach_nothing_and_running_trials_are_known() -> None:
    study = optuna.create_study()
    failed, running, own = study.ask(), study.ask(), study.ask()
    for trial in (failed, running, own):
        trial.suggest_float("lr", 0.0, 1.0)
    study.tell(failed, state=TrialState.FAIL)
    assert observe(study) == []
    frozen = study.trials[own.number]
    assert running_points(study, frozen) == [running.params]
    assert known_points(study, frozen, ["lr"]) == [failed.params, running.params]
