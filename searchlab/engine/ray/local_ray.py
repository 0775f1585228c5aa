"""Starting a Ray on this machine that listens on loopback only, for one study or for tests."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from searchlab.config.resources import ResourceSpec
from searchlab.errors import InfrastructureError

if TYPE_CHECKING:
    import psutil

__all__ = ["start_ray"]

logger = logging.getLogger(__name__)

_LOOPBACK = "127.0.0.1"

# Of a process that carries libraries with fork handlers, as gRPC has them, a child may die before
# its exec. Where it was to be Ray's node process, ray.init gives up after 30 s without a word of
# it; the next start goes well as a rule.
_ATTEMPTS = 2


def start_ray(resources: ResourceSpec) -> None:
    """Start a Ray here and connect this process to it; ``ray.shutdown`` ends both.

    It has this machine's cores, or as many as the workers asked for need. A start that fails is
    tried once more. Raises InfrastructureError where that fails too.
    """
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            with _nothing_left_behind(), _loopback_only():
                _init(resources)
            return
        # Ray raises a bare Exception, or what its parts raise, where its processes do not come up.
        except Exception as error:
            if not attempts_left:
                raise InfrastructureError(
                    f"Ray could not be started on this machine: {_first_line(error)}. "
                    "Its logs are in the newest folder of /tmp/ray, or of RAY_TMPDIR; "
                    "--engine serial runs the study without it"
                ) from error
            logger.warning("Ray did not start, and is tried once more: %s", _first_line(error))


def _count_cpus() -> int:
    """Return the cores this process may use, which a container or taskset may have cut."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _init(resources: ResourceSpec) -> None:
    import ray

    workers = 1 if resources.workers == "auto" else int(resources.workers)
    ray.init(
        address="local",  # else one that somebody started on this machine would be taken
        # More workers than cores is the user's choice; Ray would otherwise never start them.
        num_cpus=max(_count_cpus(), math.ceil(workers * resources.cpus)),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        _node_ip_address=_LOOPBACK,
    )


@contextmanager
def _nothing_left_behind() -> Iterator[None]:
    """Where a start fails, stop those of Ray's processes that did come up; Ray forgets them."""
    import psutil

    with ExitStack() as undoing:
        undoing.callback(_stop_all_but, set(psutil.Process().children()))
        yield
        undoing.pop_all()  # it went well: nothing is undone


def _stop_all_but(earlier: set[psutil.Process]) -> None:
    import psutil
    import ray

    ray.shutdown()
    started = set(psutil.Process().children()) - earlier
    for process in started:
        process.kill()
    psutil.wait_procs(started, timeout=5)


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Let Ray take 127.0.0.1 as its address; it then listens nowhere else.

    It would otherwise replace a loopback address by the machine's own, and listen on all. The
    switch is the one by which it spares desktops the questions of their firewall.
    """
    from ray._private import ray_constants

    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    variable, constant = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = constant
        if variable is None:
            del os.environ[name]
        else:
            os.environ[name] = variable


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
