"""Deaths and faults that Ray reports and Ray Tune does not know, made into what it and we do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import (
    ActorDiedError,
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

from searchlab.engine.stopping import StopRequest
from searchlab.errors import InfrastructureError

__all__ = ["deaths_recognised", "faults_named"]

logger = logging.getLogger(__name__)

# The actor is gone, though none of them is a RayActorError. OutOfMemoryError is what Ray's memory
# monitor leaves when it kills an actor that is at work.
_DEATHS = (
    OutOfMemoryError,
    NodeDiedError,
    WorkerCrashedError,
    ActorUnschedulableError,
    ActorPlacementGroupRemoved,
)


@contextmanager
def deaths_recognised() -> Iterator[None]:
    """While the block runs, Tune takes every death of an actor for one: the trial fails alone.

    Of an error that it does not know, Tune makes the end of the experiment; what is no death
    becomes an InfrastructureError here.
    """
    handle = RayActorManager._actor_task_failed

    def handle_any(manager: RayActorManager, tracked_actor_task: object, exception: object) -> None:
        # An error of the trial's own code, in Ray's wrapping, is a RayTaskError as well.
        if not isinstance(exception, (RayActorError, RayTaskError)):
            if not isinstance(exception, _DEATHS):
                assert isinstance(exception, Exception)
                raise _fault_of(exception) from exception
            death = ActorDiedError()
            death.error_msg = f"{type(exception).__name__}: {exception}"
            exception = death
        handle(manager, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = handle_any
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = handle


@contextmanager
def faults_named(stop: StopRequest) -> Iterator[None]:
    """Turn what Ray and Tune raise into an InfrastructureError.

    Where the study was to stop for a fault already, it is that fault that is raised.
    """
    try:
        yield
    except (RayError, TuneError) as error:
        logger.debug("Ray Tune failed", exc_info=True)
        raise stop.fault or _fault_of(error) from error


def _fault_of(error: Exception) -> InfrastructureError:
    # The text of Tune's errors is a traceback of the one that they were raised for.
    origin = error
    if isinstance(error, TuneError) and isinstance(error.__context__, Exception):
        origin = error.__context__
    first_line = (str(origin).strip().splitlines() or [""])[0].rstrip(".")
    return InfrastructureError(f"Ray could not go on: {type(origin).__name__}: {first_line}")
