"""Hosts for the tests in this folder; they are skipped where none can be emulated."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from emulated_hosts import EmulatedHosts, why_not
from postgres_host import PostgresHost
from ray_hosts import RayHosts
from study_driver import StudyDriver

# Of ray[default]; without them the head has no server that takes jobs.
_NEEDED_FOR_JOBS = ("aiohttp", "aiohttp_cors", "opencensus", "opentelemetry", "prometheus_client")

WORKERS = ("worker-1", "worker-2", "worker-3")


@pytest.fixture(scope="session")
def _able() -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(f"no hosts can be emulated: {reason}")


@pytest.fixture
def hosts(_able: None) -> Iterator[EmulatedHosts]:
    """A head, three workers and a host for the database, all of them bare."""
    with EmulatedHosts(("head", *WORKERS, "db")) as made:
        yield made


@pytest.fixture
def ray_hosts(hosts: EmulatedHosts) -> RayHosts:
    """A Ray cluster over the head and the workers."""
    ray = RayHosts(hosts, "head", WORKERS)
    ray.start()
    return ray


@pytest.fixture
def postgres_host(hosts: EmulatedHosts) -> PostgresHost:
    """A PostgreSQL server on the database's host."""
    server = PostgresHost(hosts["db"])
    server.start()
    return server


@pytest.fixture
def driver(hosts: EmulatedHosts, ray_hosts: RayHosts, postgres_host: PostgresHost) -> StudyDriver:
    """Runs studies from the head, on the cluster and in the database."""
    return StudyDriver(hosts, ray_hosts.address, postgres_host.url)


@pytest.fixture
def job_driver(hosts: EmulatedHosts, postgres_host: PostgresHost) -> StudyDriver:
    """Runs studies as ``driver`` does, on a cluster that takes jobs."""
    missing = [name for name in _NEEDED_FOR_JOBS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"job submission needs ray[default]: {', '.join(missing)} not installed")
    ray = RayHosts(hosts, "head", WORKERS)
    driver = StudyDriver(hosts, ray.address, postgres_host.url)
    # A job inherits the head's environment; in its command a password would be seen by all.
    hosts["head"].environment.update(driver.environment)
    ray.start(dashboard=True)
    return driver
