"""Deaths of workers: making Ray Tune recognise each of them, and saying what caused it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray.exceptions import (
    ActorPlacementGroupRemoved,
    ActorUnschedulableError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.tune.error import TuneError

from searchlab.engine.ray.death_causes import find_error
from searchlab.engine.ray.ray_internals import task_errors_translated
from searchlab.engine.stopping import StopRequest
from searchlab.errors import InfrastructureError, first_line

__all__ = ["describe_death", "is_killed_for_memory", "ray_faults_named", "read_death"]

logger = logging.getLogger(__name__)

# The actor is gone, although none of these is a RayActorError. Ray's memory monitor leaves an
# OutOfMemoryError when it kills a busy actor.
_DEATHS = (
    OutOfMemoryError,
    NodeDiedError,
    WorkerCrashedError,
    ActorUnschedulableError,
    ActorPlacementGroupRemoved,
)

# What Ray's memory monitor and control service write into the error of a dead actor. After a bare
# SIGKILL Ray says that the kernel may have killed it for memory; that is no evidence.
_KILLED_FOR_MEMORY = "killed due to the node running low on memory"
# How a worker reports a failed GPU; the cause follows.
_DEVICE_LOST = re.compile(r"DeviceLostError: (?:DeviceLostError: )?(.+)")
_HOST_LOST = ("its node has died", "node it was running on is dead")
# Ray also says this of a lost host until it gives that host up.
_UNREACHABLE = "is unavailable: "
_NOT_STARTED = "error raised in its creation task"


@contextmanager
def ray_faults_named(stop: StopRequest) -> Iterator[None]:
    """Make a worker's death fail its trial alone; any other fault is an InfrastructureError.

    If the study was already stopping because of a fault, that fault is raised.
    """
    try:
        with task_errors_translated(_to_tunes_error):
            yield
    except (RayError, TuneError) as error:
        logger.debug("Ray Tune failed", exc_info=True)
        raise stop.fault or _fault_of(error) from error


def _to_tunes_error(error: Exception) -> Exception:
    """Return an error that Tune takes for an actor's death, or for the trial's own."""
    # An error of the trial's own code, as Ray wraps it, is a RayTaskError as well.
    is_known = isinstance(error, (RayActorError, RayTaskError))
    if is_known:
        return error
    is_death = isinstance(error, _DEATHS)
    if not is_death:
        raise _fault_of(error) from error
    death: Exception = RayActorError(error_msg=f"{type(error).__name__}: {error}")
    return death


def _fault_of(error: Exception) -> InfrastructureError:
    # The text of a TuneError is the traceback of the error behind it.
    origin = error
    if isinstance(error, TuneError) and isinstance(error.__context__, Exception):
        origin = error.__context__
    reason = f"{type(origin).__name__}: {first_line(origin).rstrip('.')}"
    return InfrastructureError(f"Ray could not go on: {reason}")


def read_death(error_file: str | None) -> str:
    """Return what Ray said of a worker's death, read from the trial's ``error_file``.

    Return "" if there is none, as on a full disk. The trial's ``get_error`` doesn't serve: it
    looks where Tune copies that file later, if at all.
    """
    if error_file is None:
        return ""
    try:
        return Path(error_file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def is_killed_for_memory(death: str) -> bool:
    """Return whether Ray killed a worker because its host ran out of memory."""
    return _KILLED_FOR_MEMORY in death


def describe_death(death: str) -> str:
    """Return in a few words what happened to a worker."""
    if is_killed_for_memory(death):
        return "its worker was killed because the host ran out of memory"
    if any(words in death for words in _HOST_LOST):
        return "its host was lost"
    if found := _DEVICE_LOST.search(death):
        return f"its GPU failed ({found[1]})"
    if _UNREACHABLE in death:
        return "its worker became unreachable"
    if _NOT_STARTED in death and (cause := find_error(death)):
        return f"its worker could not start ({cause})"
    return "its worker died"
