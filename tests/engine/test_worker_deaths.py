"""What Ray Tune and the user hear of a worker's death, and of a fault under Ray."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray.exceptions
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.train._internal.storage import StorageContext
from ray.tune.error import TuneError
from ray.tune.experiment import Trial

from searchlab.engine.ray.worker_deaths import (
    describe_death,
    is_killed_for_memory,
    ray_faults_named,
    read_death,
)
from searchlab.engine.stopping import StopRequest
from searchlab.errors import InfrastructureError

OUT_OF_MEMORY = ray.exceptions.OutOfMemoryError(
    "1 worker(s) were killed due to the node running low on memory. Top 10 memory users:\n7749 ..."
)


def meet(error: Exception) -> list[Exception]:
    """What Tune hears of an actor whose task met an error: of the actor, then of the task."""
    heard: list[Exception] = []

    def note(_actor: object, exception: Exception) -> None:
        heard.append(exception)

    actor = SimpleNamespace(actor_id=5, _on_error=note)
    manager = RayActorManager(resource_manager=None)
    manager._cleanup_actor = lambda tracked_actor: None
    manager._actor_task_failed(SimpleNamespace(_tracked_actor=actor, _on_error=note), error)
    return heard


@pytest.mark.parametrize(
    "death",
    [
        OUT_OF_MEMORY,
        ray.exceptions.NodeDiedError("the node it was running on is dead"),
        ray.exceptions.WorkerCrashedError(),
        ray.exceptions.ActorUnschedulableError("no node"),
        ray.exceptions.ActorPlacementGroupRemoved(),
    ],
)
def test_every_death_is_one_to_tune_with_what_ray_said_of_it(death: Exception) -> None:
    with pytest.raises(RuntimeError, match="unexpected exception"):
        meet(death)
    with ray_faults_named(StopRequest()):
        of_actor, of_task = meet(death)
    assert of_actor is of_task
    assert isinstance(of_actor, ray.exceptions.RayActorError)
    assert str(death) in str(of_actor)
    with pytest.raises(RuntimeError, match="unexpected exception"):
        meet(death)


def test_what_tune_knows_itself_is_left_to_it() -> None:
    died = ray.exceptions.ActorDiedError()
    task = ray.exceptions.RayTaskError("step", "a traceback", OUT_OF_MEMORY)
    own = task.as_instanceof_cause()
    assert isinstance(own, ray.exceptions.OutOfMemoryError)
    with ray_faults_named(StopRequest()):
        assert meet(died) == [died, died]
        assert meet(own) == [own], "the trial's own error: its actor lives"


def test_an_error_that_is_no_death_is_a_fault_of_the_machine() -> None:
    error = ray.exceptions.RaySystemError("no route\nand a long story")
    with ray_faults_named(StopRequest()), pytest.raises(InfrastructureError) as raised:
        meet(error)
    assert str(raised.value) == "Ray could not go on: RaySystemError: System error: no route"
    assert raised.value.__cause__ is error


def raise_as_tune_does() -> None:
    try:
        raise KeyError("trial-7")
    except KeyError as error:
        raise TuneError(f"Traceback (most recent call last):\n  ...\n{error!r}")  # noqa: B904


def test_what_tune_raises_names_the_error_behind_it() -> None:
    with pytest.raises(InfrastructureError) as of_tune, ray_faults_named(StopRequest()):
        raise_as_tune_does()
    assert str(of_tune.value) == "Ray could not go on: KeyError: 'trial-7'"
    with pytest.raises(InfrastructureError) as of_ray, ray_faults_named(StopRequest()):
        raise OUT_OF_MEMORY
    assert "OutOfMemoryError: 1 worker(s)" in str(of_ray.value)
    assert "Top 10" in str(OUT_OF_MEMORY)
    assert "7749" not in str(of_ray.value), "what other processes there are is nobody's business"


def test_the_fault_that_stopped_the_study_comes_before_its_consequences() -> None:
    stop, first = StopRequest(), InfrastructureError("the storage is away")
    stop.fail(first)
    with pytest.raises(InfrastructureError) as raised, ray_faults_named(stop):
        raise_as_tune_does()
    stop.close()
    assert raised.value is first


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), ray_faults_named(StopRequest()):
        raise ZeroDivisionError


NOT_STARTED = ray.exceptions.RayActorError(
    error_msg="The actor died because of an error raised in its creation task, ray::X.__init__()\n"
    '  File "numpy.py", line 1, in <module>\nImportError: no numpy here\n'
)
DIED = ray.exceptions.ActorDiedError()
# As ray_faults_named words it.
KILLED_FOR_MEMORY = ray.exceptions.RayActorError(
    error_msg="OutOfMemoryError: 2 worker(s) were killed due to the node running low on memory."
)
HOST_DEAD = ray.exceptions.RayActorError(
    error_msg="The actor died because its node has died. Node Id: 5f"
)
NODE_DIED = ray.exceptions.RayActorError(
    error_msg="NodeDiedError: Task failed because the node it was running on is dead or unavailable"
)
UNREACHABLE = ray.exceptions.ActorUnavailableError("RPC error: Socket closed", None)


def trial_that_met(error: Exception | None, folder: Path) -> Trial:
    """A trial as Tune has it when it tells the scheduler of an error."""
    storage = StorageContext(os.fspath(folder), "study")
    storage._get_session_path = lambda: os.fspath(folder / "session")  # Ray's, where it runs
    trial = Trial("worker", trial_id="a", stub=True, storage=storage)
    trial.init_local_path()
    if error is not None:
        trial.handle_error(error)
    return trial


@pytest.mark.parametrize(
    ("error", "for_memory", "words"),
    [
        (DIED, False, "its worker died"),
        (KILLED_FOR_MEMORY, True, "its worker was killed because the host ran out of memory"),
        (HOST_DEAD, False, "its host was lost"),
        (NODE_DIED, False, "its host was lost"),
        (UNREACHABLE, False, "its worker became unreachable"),
        (None, False, "its worker died"),
        (NOT_STARTED, False, "its worker could not start (ImportError: no numpy here)"),
    ],
)
def test_the_cause_of_a_death_is_read_from_what_tune_keeps(
    tmp_path: Path, error: Exception | None, for_memory: bool, words: str
) -> None:
    death = read_death(trial_that_met(error, tmp_path).error_file)
    assert bool(death) is (error is not None)
    assert is_killed_for_memory(death) is for_memory
    assert describe_death(death) == words


def test_a_death_without_a_kept_cause_is_a_worker_that_died(tmp_path: Path) -> None:
    trial = trial_that_met(KILLED_FOR_MEMORY, tmp_path)
    Path(trial.error_file).unlink()
    assert describe_death(read_death(trial.error_file)) == "its worker died"
