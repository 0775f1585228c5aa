"""Regularised evolution: one mutation of a good, young parent."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from ledger_driving import open_space, open_study
from sampler_driving import NUM_BASELINES, flat_space, run_study, search_spec

from searchlab.search.samplers.evolution import POPULATION_SIZE, EvolutionSampler, mutate
from searchlab.search.samplers.flat_space import FlatSpace
from searchlab.search.space.points import Point

FLAT = flat_space()


def _changed(parent: Point, child: Point) -> set[str]:
    return {name for name in parent.keys() & child.keys() if parent[name] != child[name]}


def _parents(number: int) -> list[Point]:
    rng = random.Random(7)
    return [FLAT.active(FLAT.draw(rng)) for _ in range(number)]


def test_a_mutation_changes_one_parameter_and_brings_only_what_hangs_under_it() -> None:
    rng = random.Random(0)
    mutated: Counter[str] = Counter()
    for parent in _parents(300):
        child = mutate(FLAT.space, parent, rng)
        changed = _changed(parent, child)
        assert len(changed) == 1
        name = changed.pop()
        mutated[name] += 1
        others = child.keys() ^ parent.keys()
        if name == "family":
            assert all("." in other for other in others)
        elif name == "cnn.depth":
            assert others == {"cnn.layer1.width"}
        else:
            assert not others
        assert FLAT.active({**FLAT.impute({}), **child}) == child
    assert mutated.keys() == FLAT.nodes.keys()


def test_ranges_move_by_small_steps_and_choices_to_any_other_value() -> None:
    rng = random.Random(1)
    parent = FLAT.active({**FLAT.impute({}), "family": "cnn"})
    children = [mutate(FLAT.space, parent, rng) for _ in range(2_000)]
    steps = [abs(float(child["dropout"]) - 0.25) for child in children]
    moved = [step for step in steps if step > 0]
    assert sum(step < 0.5 * 0.15 for step in moved) > 0.6 * len(moved)  # one deviation
    assert max(moved) <= 0.25
    assert {child["family"] for child in children} == {"cnn", "fcn"}


def test_new_parameters_of_another_family_are_drawn_at_random() -> None:
    rng = random.Random(2)
    parent = FLAT.active({**FLAT.impute({}), "family": "cnn"})
    children = [mutate(FLAT.space, parent, rng) for _ in range(3_000)]
    assert {child["fcn.width"] for child in children if child["family"] == "fcn"} == set(
        range(8, 65, 8)
    )


def _propose(losses: list[float], seed: int, **options: Any) -> tuple[Point, list[Point]]:
    """Return the child of a study whose search trials have these losses, and their points."""
    spec = search_spec("random", len(losses), baselines={"architectures": []})
    space, study = open_space(spec), open_study(spec)
    for loss in losses:
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, loss)
    points = [FlatSpace.of(space.searched).active(p.params) for p in study.trials]  # type: ignore[attr-defined]
    asked = study.ask()
    sampler = EvolutionSampler(FlatSpace.of(space.searched), seed, study_seed=0, **options)  # type: ignore[attr-defined]
    child = sampler.flat.active(sampler.propose(study, study.trials[asked.number]))
    return child, points


@pytest.mark.parametrize("seed", range(5))
def test_the_parent_is_the_best_of_the_young_and_the_old_have_died(seed: int) -> None:
    losses = [0.0, 0.1] + [0.9] * 3 + [0.5] + [0.8] * 4
    child, points = _propose(losses, seed, population_size=8, tournament_size=8)
    assert len(_changed(points[5], child)) == 1
    shared = [
        name for name in ("lr", "batch_size", "dropout", "family") if child[name] == points[5][name]
    ]
    assert len(shared) >= 3


def test_a_smaller_tournament_lets_others_win() -> None:
    losses = [0.5, *[0.8] * 7]
    far = 0
    for seed in range(12):
        child, points = _propose(losses, seed, population_size=8, tournament_size=1)
        far += child["lr"] != points[0]["lr"] and child["dropout"] != points[0]["dropout"]
    assert far >= 6


def test_the_first_trials_are_random_and_each_later_one_is_a_child() -> None:
    study = run_study(search_spec("evolution", POPULATION_SIZE + 10))
    points = [trial.params for trial in study.get_trials(deepcopy=False)]
    first_child = NUM_BASELINES + POPULATION_SIZE
    for number in range(first_child, len(points)):
        is_child = [
            len(_changed(points[earlier], points[number])) == 1 for earlier in range(number)
        ]
        assert any(is_child), number
    random_ones = points[NUM_BASELINES:first_child]
    assert min(len(_changed(random_ones[0], other)) for other in random_ones[1:]) > 1
