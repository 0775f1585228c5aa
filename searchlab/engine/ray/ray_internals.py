"""Every private part of Ray that searchlab uses, each with its reason. Nothing else may use one.

``tests/engine/test_ray_internals.py`` fails, with the function to mend, if Ray changes one of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "find_living_nodes",
    "find_local_nodes",
    "hidden_command_line",
    "init_on_loopback",
    "job_without_driver_paths",
    "reread_token_settings",
    "task_errors_translated",
    "unused_processes_left_out",
]

_LOOPBACK = "127.0.0.1"


def find_living_nodes(address: str, *, timeout_seconds: float) -> set[str]:
    """Return the ids of a cluster's living nodes without connecting to it.

    Private because ``ray.init`` waits for minutes at an address where no Ray answers, and the
    public state API needs Ray's dashboard. Raises AuthenticationError if the cluster refuses this
    process, else ConnectionError, RuntimeError, TimeoutError or ValueError.
    """
    from ray._private import services
    from ray._private.authentication import authentication_token_setup as tokens
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    if address == "auto":  # as ray.init does
        tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    tokens.ensure_token_if_auth_enabled({}, create_token_if_missing=False)
    client = GcsClient(address=services.canonicalize_bootstrap_address(address))
    nodes = client.get_all_node_info(timeout=timeout_seconds)
    return {node_id.hex() for node_id, node in nodes.items() if node.state == 0}


def find_local_nodes() -> set[str]:
    """Return the ids of the Ray nodes on this machine.

    Private because Ray tells nobody who is not connected to one of them.
    """
    from ray._private import services

    return set(services.find_node_ids())


def init_on_loopback(**settings: Any) -> None:
    """Call ``ray.init`` so that the Ray it starts listens on 127.0.0.1 only.

    Private because Ray replaces a loopback address by the machine's own and then listens on all
    interfaces. This switch, which spares desktops questions from their firewall, keeps it.
    """
    import ray
    from ray._private import ray_constants

    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    variable, constant = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        ray.init(_node_ip_address=_LOOPBACK, **settings)
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = constant
        if variable is None:
            del os.environ[name]
        else:
            os.environ[name] = variable


@contextmanager
def unused_processes_left_out() -> Iterator[None]:
    """Keep ``ray.init`` from starting the autoscaler, the log reader and the dashboard's server.

    A Ray that no machine joins, whose logs nobody streams and that has no dashboard starts in two
    thirds of the time without them, and takes 280 MB less. Private because Ray has no setting for
    them.
    """
    from ray._private.node import Node

    names = ("start_monitor", "start_log_monitor", "start_api_server")
    originals = {name: getattr(Node, name) for name in names}
    for name in names:
        setattr(Node, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(Node, name, original)


def job_without_driver_paths(checkout: Path | None) -> Any:
    """Return the job of ``ray.init`` whose workers search modules where their Python does.

    Private because Ray puts the driver's current folder and that of its script before everything
    else, so that a file ``random.py`` there ends every worker at its start. ``checkout`` is a
    folder that workers do need.
    """
    from ray.job_config import JobConfig

    job = JobConfig()
    job._py_driver_sys_path = _FixedPaths([] if checkout is None else [str(checkout)])
    return job


class _FixedPaths(list[str]):
    def extend(self, paths: Iterable[str]) -> None:
        """Ignore what Ray would add."""


def reread_token_settings() -> None:
    """Make Ray read RAY_AUTH_MODE and the token's file again.

    Private because Ray reads both once, when it is imported.
    """
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def hidden_command_line() -> Iterator[None]:
    """Keep ``ray.init`` from recording this process's command line, which may hold a password.

    Private because Ray has no setting for it.
    """
    from ray._private import utils

    original = utils.get_entrypoint_name
    utils.get_entrypoint_name = lambda: "searchlab"
    try:
        yield
    finally:
        utils.get_entrypoint_name = original


@contextmanager
def task_errors_translated(translate: Callable[[Exception], Exception]) -> Iterator[None]:
    """Give ``translate`` every error of an actor's task; Tune gets what it returns.

    Private because Tune ends the whole experiment, before any callback, on an error it doesn't
    know, such as that of an actor killed by Ray's memory monitor.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager

    original = RayActorManager._actor_task_failed

    def translated(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        original(manager, tracked_actor_task, translate(exception))

    RayActorManager._actor_task_failed = translated
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = original
