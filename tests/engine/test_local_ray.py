"""Starting a Ray of our own: a start that fails is tried once more, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from small_studies import ONE_TRIAL, search_command, write_study

from searchlab.config.resources import ResourceSpec
from searchlab.engine.ray.local_ray import start_ray
from searchlab.errors import InfrastructureError

LIMIT_SECONDS = 300


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[psutil.Process]]:
    """Have the first so many starts fail; the list gets a process of each, as Ray would start."""
    import ray

    processes: list[psutil.Process] = []

    def fail_first(failures: int) -> list[psutil.Process]:
        def init(**_settings: object) -> None:
            processes.append(psutil.Popen(["sleep", "1000"]))
            if len(processes) <= failures:
                raise Exception("The current node timed out during startup. This could happen")

        monkeypatch.setattr(ray, "init", init)
        monkeypatch.setattr(ray, "shutdown", lambda: None)  # the session's own Ray stays
        return processes

    return fail_first


def test_a_start_that_fails_is_tried_once_more(
    started: Callable[[int], list[psutil.Process]],
) -> None:
    processes = started(1)
    start_ray(ResourceSpec(workers=1))
    first, second = processes
    assert not first.is_running()
    assert second.is_running()
    second.kill()


def test_two_failures_end_the_run_as_a_fault_of_the_machine(
    started: Callable[[int], list[psutil.Process]],
) -> None:
    processes = started(2)
    with pytest.raises(InfrastructureError, match=r"could not be started.*timed out") as raised:
        start_ray(ResourceSpec(workers=1))
    assert raised.value.exit_code == 3
    assert "--engine serial" in str(raised.value)
    assert len(processes) == 2
    assert not any(process.is_running() for process in processes)


# Ray's node process dies at once in the first start, and comes up in the second.
SCRIPT = """
import psutil, ray
from ray._private import services
from searchlab.config.resources import ResourceSpec
from searchlab.engine.ray.local_ray import start_ray

real, start = services.RAYLET_EXECUTABLE, services.start_raylet
executables = iter(["/bin/false", real])

def start_raylet(*arguments, **settings):
    services.RAYLET_EXECUTABLE = next(executables)
    return start(*arguments, **settings)

services.start_raylet = start_raylet
start_ray(ResourceSpec(workers=2))
assert next(executables, None) is None, "the first start did not fail"
print(ray.get(ray.remote(lambda: 42).remote()))
names = [process.name() for process in psutil.Process().children()]
print(names.count("gcs_server"))
"""


@pytest.mark.slow
def test_a_node_process_that_dies_at_its_start_is_started_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["42", "1"]


@pytest.mark.slow
def test_workers_import_no_module_of_the_current_folder(tmp_path: Path) -> None:
    for name in ("random", "numpy", "torch"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('of the current folder')")
    study = write_study(tmp_path, **ONE_TRIAL)
    # -P, because Python itself would put the folder first for the driver.
    [python, *command] = search_command("run", study, "--runs-dir", tmp_path / "runs")
    done = subprocess.run(
        [python, "-P", *command], cwd=tmp_path, capture_output=True, text=True,
        timeout=LIMIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
