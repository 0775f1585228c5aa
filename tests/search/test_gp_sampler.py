"""The GP sampler looks for points of the space that the study does not have."""

from __future__ import annotations

import random

import numpy as np
import pytest
from ledger_driving import open_space
from optuna._gp.search_space import SearchSpace
from sampler_driving import finish, flat_space, loss_of, run_study, search_of, search_spec

from searchlab.search.samplers import gaussian_process
from searchlab.search.samplers.gaussian_process import (
    GaussianProcessSampler,
    _AcquisitionSearch,
    _warp,
)
from searchlab.search.samplers.observations import Observation
from searchlab.search.space.points import Point

FLAT = flat_space()


class _Gain:
    """An acquisition function that is greatest where the loss of ``sampler_driving`` is least."""

    def __init__(self) -> None:
        self.search_space = SearchSpace(FLAT.distributions())
        self.seen: list[Point] = []

    def eval_acqf_no_grad(self, x: np.ndarray) -> np.ndarray:
        flats = [self.search_space.get_unnormalized_param(row) for row in x]
        self.seen += flats
        return np.array([-loss_of(FLAT.active(flat)) for flat in flats])


def _search(gain: _Gain, known: list[Point]) -> Point:
    start = FLAT.active(FLAT.draw(random.Random(1)))
    search = _AcquisitionSearch(FLAT, random.Random(0), known=known, parents=[start])
    return FLAT.active(gain.search_space.get_unnormalized_param(search(gain)))


def test_the_best_point_is_found_among_points_of_the_space() -> None:
    gain = _Gain()
    found = _search(gain, [])
    at_random = random.Random(2)
    drawn = [loss_of(FLAT.active(FLAT.draw(at_random))) for _ in range(len(gain.seen))]
    assert loss_of(found) < min(drawn)
    # The model learnt from the same fixed values of what is inactive.
    assert all(flat == pytest.approx(FLAT.impute(FLAT.active(flat))) for flat in gain.seen)


def test_the_model_tells_good_trials_apart_beside_bad_ones() -> None:
    accuracies = [0.1, 0.3, 0.6, 0.9, 0.97, 0.98]
    trials = [
        Observation(number=number, point={}, losses=(-value,))
        for number, value in enumerate(accuracies)
    ]
    warped = [loss for (loss,) in _warp(trials)]
    assert warped == sorted(warped, reverse=True)
    assert warped[4] - warped[5] > warped[0] - warped[1]
    equal = [Observation(number=number, point={}, losses=(-0.5,)) for number in range(3)]
    assert _warp(equal) == [(0.0,)] * 3
    several = [Observation(number=0, point={}, losses=(-0.5, 3.0))]
    assert _warp(several) == [(-0.5, 3.0)]


def test_points_of_the_study_are_not_asked_for_again() -> None:
    known: list[Point] = []
    for _ in range(3):
        found = _search(_Gain(), known)
        assert found not in known
        known.append(found)


def test_the_random_start_ends_with_so_many_search_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    study = run_study(search_spec("random", 3))
    number = study.ask().number
    trial = study.trials[number]
    drawn = FLAT.draw(random.Random(0))
    for num_startup in (3, 4):
        monkeypatch.setattr(gaussian_process, "GP_STARTUP_TRIALS", num_startup)
        sampler = GaussianProcessSampler(FLAT, 0, study_seed=0)
        is_drawn = sampler.propose(search_of(study), trial) == drawn
        assert is_drawn == (num_startup > 3)


def test_trials_that_run_at_once_are_not_asked_for_twice() -> None:
    spec = search_spec("gp", 11)
    study = run_study(spec)
    space = open_space(spec)
    running = [study.ask() for _ in range(3)]
    points = [space.suggest(trial) for trial in running]
    assert len({str(point) for point in points}) == 3
    finish(study, running[1])  # in any order
    assert study.trials[running[0].number].state.name == "RUNNING"
