"""A disk that is full or read-only stops the study with that cause; nothing is spent on it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_studies import Engine, read_trials, search_command, write_study

from searchlab.records.run_folder import RunFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk"),
]

SECONDS = 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, too small for a checkpoint beside Ray's own files."""
    folder = tmp_path / "runs" / "tiny" / "checkpoints"
    folder.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)])
    if done.returncode:
        pytest.skip("cannot mount here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def run(folder: Path, engine: Engine, command: str) -> subprocess.CompletedProcess[str]:
    target = folder / "tiny.yaml" if command == "run" else "tiny"
    options = ["--engine", engine, "--runs-dir", folder / "runs"]
    return subprocess.run(
        search_command(command, target, *options), capture_output=True, text=True, timeout=SECONDS
    )


@pytest.mark.parametrize(
    ("engine", "fault"), [("serial", "full"), ("serial", "read-only"), ("tune", "full")]
)
def test_a_disk_that_takes_no_checkpoint_ends_the_run_and_no_trial(
    tmp_path: Path, small_disk: Path, engine: Engine, fault: str
) -> None:
    write_study(
        tmp_path,
        resources={"checkpoint_seconds": 0},
        search={"trials": 4},
        training={"epochs": 3},
        confirm={"top": 0},
    )
    if fault == "full":
        (small_disk / "somebody-else").write_bytes(bytes(100_000))
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    words = "No space left on device" if fault == "full" else "Read-only file system"
    for command in ("run", "resume") if engine == "serial" else ("run",):
        stopped = run(tmp_path, engine, command)
        assert stopped.returncode == 3, stopped.stderr
        assert "Traceback" not in stopped.stderr
        assert words in stopped.stderr
        assert "searchlab study resume" in stopped.stderr
        trials = read_trials(RunFolder(tmp_path / "runs" / "tiny"))
        assert {trial.state.name for trial in trials} <= {"RUNNING"}, "no trial was spent"

    subprocess.run(["mount", "-o", "remount,rw,size=64m", str(small_disk)], check=True)
    resumed = run(tmp_path, engine, "resume")
    assert resumed.returncode == 0, resumed.stderr
    trials = read_trials(RunFolder(tmp_path / "runs" / "tiny"))
    assert [trial.number for trial in trials] == list(range(6))
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
