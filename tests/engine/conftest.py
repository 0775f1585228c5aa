"""One local Ray for all the tests of a session; starting one takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest

from searchlab.engine.cluster import prepare_ray_settings


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    prepare_ray_settings()
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def _quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
