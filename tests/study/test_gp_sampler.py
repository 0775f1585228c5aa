"""The GP sampler looks for points among those whose inactive parameters have fixed values."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from ledger_driving import open_space
from optuna._gp.search_space import SearchSpace
from sampler_driving import finish, flat_space, run_study, search_of, search_spec

from searchlab.study.samplers import gaussian_process
from searchlab.study.samplers.gaussian_process import GaussianProcessSampler, _ActiveOnly
from searchlab.study.space.points import Point

FLAT = flat_space()


class _Sum:
    """An acquisition function for which every parameter counts."""

    def __init__(self) -> None:
        self.search_space = SearchSpace(FLAT.distributions())
        self.length_scales = np.ones(len(FLAT.nodes))

    def eval_acqf(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(dim=-1)

    def eval_acqf_no_grad(self, x: np.ndarray) -> np.ndarray:
        return x.sum(axis=-1)


def _rows(*points: Point) -> np.ndarray:
    flats = [FLAT.impute(point) for point in points]
    return SearchSpace(FLAT.distributions()).get_normalized_params([None] * len(flats), flats)


def test_inactive_parameters_change_nothing_and_active_ones_do() -> None:
    acqf = _ActiveOnly(_Sum(), FLAT, [])
    cnn: Point = {"family": "cnn", "cnn.depth": 1}
    rows = _rows(
        cnn,
        {**cnn, "fcn.width": 64},
        {**cnn, "cnn.layer1.width": 8},  # the second of one layer
        {**cnn, "cnn.layer0.width": 8},
        {**cnn, "cnn.depth": 2},
        {**cnn, "cnn.depth": 2, "cnn.layer1.width": 8},
    )
    values = acqf.eval_acqf_no_grad(rows)
    assert values[0] == values[1] == values[2]
    assert len(set(values[[0, 3, 4, 5]])) == 4
    x = torch.from_numpy(rows).requires_grad_(True)
    same = acqf.eval_acqf(x)
    assert same.detach().numpy() == pytest.approx(values)
    same.sum().backward()
    assert x.grad is not None
    names = list(FLAT.nodes)
    assert x.grad[0, names.index("lr")] == 1
    assert x.grad[0, names.index("fcn.width")] == 0


def test_a_known_point_is_shunned_with_whatever_is_inactive_in_it() -> None:
    fcn: Point = FLAT.active({**FLAT.impute({}), "family": "fcn"})
    acqf = _ActiveOnly(_Sum(), FLAT, [fcn])
    rows = _rows(fcn, {**fcn, "cnn.depth": 2}, {**fcn, "fcn.depth": 2})
    assert list(acqf.eval_acqf_no_grad(rows) < -1e6) == [True, True, False]
    assert acqf.eval_acqf_no_grad(rows[0]) < -1e6  # a line search asks for one at a time


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
