"""One local Ray for all the tests of a session; starting one takes seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import optuna
import pytest

from searchlab.engine.tune import _RAY_SETTINGS


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    os.environ.update(_RAY_SETTINGS)  # some are read when Ray is imported
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def _quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
