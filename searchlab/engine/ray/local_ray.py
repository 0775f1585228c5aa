"""Starting a Ray on this machine that listens on loopback only, for one study or for tests."""

from __future__ import annotations

import logging
import math
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.config.resources import ResourceSpec
from searchlab.engine.ray.death_causes import read_cause
from searchlab.engine.ray.ray_internals import (
    init_on_loopback,
    job_without_driver_paths,
    unused_processes_left_out,
)
from searchlab.errors import InfrastructureError, first_line

if TYPE_CHECKING:
    import psutil

__all__ = ["find_checkout", "start_ray"]

logger = logging.getLogger(__name__)

# If a process carries libraries with fork handlers, such as gRPC, its child may die before its
# exec. If that child was to be Ray's node process, ray.init gives up after 30 s and doesn't say
# why; the next start usually succeeds.
_ATTEMPTS = 2


def start_ray(resources: ResourceSpec, *, folder: Path | None = None) -> None:
    """Start a Ray here and connect this process to it; ``ray.shutdown`` ends both.

    It gets this machine's cores, or more if the requested workers need more. Its session is in
    ``folder``, if one is given. A failed start is tried once more. Raises InfrastructureError if
    that fails too.
    """
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            with _nothing_left_behind():
                _init(resources, folder)
            return
        # Ray raises a bare Exception, or whatever its parts raise, if its processes don't come up.
        except Exception as error:
            if not attempts_left:
                reason = first_line(error).rstrip(".")
                if folder is not None and (cause := read_cause(folder)):
                    reason += f" ({cause})"
                raise InfrastructureError(
                    f"Ray could not be started on this machine: {reason}. "
                    "--engine serial runs the study without Ray"
                ) from error
            logger.warning("Ray did not start; trying once more: %s", first_line(error))


def _count_cpus() -> int:
    """Return the number of cores this process may use; a container or taskset may limit it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def find_checkout() -> Path | None:
    """Return the folder from which searchlab is imported if it is not installed.

    ``python -m searchlab`` works in a checkout; the processes that it starts must find it as well.
    """
    folder = Path(__file__).resolve().parents[3]
    given = [Path(entry).resolve() for entry in sys.path]
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    is_found = folder in [*installed, *(Path(entry).resolve() for entry in inherited if entry)]
    return folder if folder in given and not is_found else None


def _init(resources: ResourceSpec, folder: Path | None) -> None:
    workers = 1 if resources.workers == "auto" else int(resources.workers)
    with unused_processes_left_out():
        init_on_loopback(
            address="local",  # not a Ray that somebody else started on this machine
            # More workers than cores is the user's choice; Ray would otherwise never start them.
            num_cpus=max(_count_cpus(), math.ceil(workers * resources.cpus)),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            # Workers import what is installed, not what lies in the current folder.
            job_config=job_without_driver_paths(find_checkout()),
            # One level down, because Ray opens the folder that it gets to everybody.
            _temp_dir=None if folder is None else str(folder / "r"),
        )


@contextmanager
def _nothing_left_behind() -> Iterator[None]:
    """If a start fails, stop the processes that did come up, which Ray forgets."""
    import psutil

    with ExitStack() as undoing:
        undoing.callback(_stop_all_but, set(psutil.Process().children()))
        yield
        undoing.pop_all()  # it succeeded: nothing is undone


def _stop_all_but(earlier: set[psutil.Process]) -> None:
    import psutil
    import ray

    ray.shutdown()
    started = set(psutil.Process().children()) - earlier
    for process in started:
        process.kill()
    psutil.wait_procs(started, timeout=5)
