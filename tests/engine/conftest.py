"""What the tests of a session share: one local Ray."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest

from searchlab.config.resources import ResourceSpec
from searchlab.engine.ray.cluster import prepare_ray_settings
from searchlab.engine.ray.local_ray import start_ray


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A Ray that this process is connected to; starting one takes seconds."""
    prepare_ray_settings()
    import ray

    start_ray(ResourceSpec(workers=2))
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def _quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
