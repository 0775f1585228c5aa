"""Optuna's published contract of samplers, held by those that a study has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from ledger_driving import make_spec, open_space
from optuna.samplers import BaseSampler, TPESampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from sampler_driving import ASKED

from searchlab.config.samplers import SAMPLERS
from searchlab.search.samplers.registry import make_sampler
from searchlab.search.samplers.study_sampler import StudySampler

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

Make = Callable[[], BaseSampler]


def _maker(name: str) -> Make:
    def make() -> BaseSampler:
        spec = make_spec(search={"sampler": name, "trials": 50})
        return make_sampler(spec, open_space(spec))

    return make


def _params(names: Iterable[str]) -> list[Any]:
    """TPE and one sampler of the whole space in the default suite; the others take as long each."""
    return [
        name if name in ("tpe", "evolution") else pytest.param(name, marks=pytest.mark.slow)
        for name in names
    ]


class TestEverySampler(BasicSamplerTestCase):
    """Those of the whole space draw a parameter that is not in it alone."""

    @pytest.fixture(params=_params(ASKED))
    def sampler(self, request: pytest.FixtureRequest) -> Make:
        return _maker(request.param)


class TestASamplerThatSamplesJointly(RelativeSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Make:
        def make(seed: int) -> BaseSampler:
            return TPESampler(
                multivariate=True, group=True, constant_liar=True, seed=seed, n_startup_trials=0
            )

        narrowed = open_space(make_spec()).narrowed
        return lambda: StudySampler(make, 0, narrowed=narrowed)


class TestSamplersOfSeveralObjectives(MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=_params(n for n in ASKED if SAMPLERS[n].several_objectives))
    def sampler(self, request: pytest.FixtureRequest) -> Make:
        return _maker(request.param)
