"""Drivers that are killed, stopped or started twice: the study ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_studies import Engine, describe_trials, read_trials, resume, run_study, write_study

from searchlab.errors import InputError, InterruptedStudyError
from searchlab.records.run_folder import RunFolder
from searchlab.study.ledger import Ledger
from searchlab.training.results import EpochResult

DRIVER = Path(__file__).with_name("signalling_driver.py")
# Were a stop ignored, a study of so many epochs would run into the timeouts below.
ENDLESS = {"epochs": 100_000, "batch_size": 256}
TIMEOUT_SECONDS = 300
# Two baselines of four epochs, then the third epoch of the first search trial.
IN_MID_SEARCH = "report:11"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_study(tmp_path)
    return tmp_path


def _run_of(folder: Path) -> RunFolder:
    return RunFolder(folder / "runs" / "tiny")


def _start(
    folder: Path, engine: Engine, signals: str, moment: str, command: str = "run"
) -> subprocess.Popen[str]:
    study = folder / "tiny.yaml" if command == "run" else "tiny"
    options = ["--runs-dir", folder / "runs", "--engine", engine]
    arguments = [signals, moment, "study", command, study, *options]
    return subprocess.Popen(
        [sys.executable, str(DRIVER), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a terminal's job has
    )


def _finish(driver: subprocess.Popen[str]) -> tuple[int, str, str]:
    with driver:
        try:
            out, err = driver.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            driver.kill()
            raise
    return driver.returncode, out, err


def _kill(folder: Path, engine: Engine, moment: str, command: str = "run") -> None:
    code, _, err = _finish(_start(folder, engine, "SIGKILL", moment, command))
    assert code == -signal.SIGKILL, err


# One killed in mid-search is tested below, together with a second driver.
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["ask:1", "tell:5", "tell:15"])
def test_a_driver_killed_and_resumed_ends_with_the_same_trials(
    folder: Path, serial_run: RunFolder, moment: str
) -> None:
    _kill(folder, "serial", moment)
    run = _run_of(folder)
    assert len(read_trials(run)) < 16
    resume(run)
    assert describe_trials(run) == describe_trials(serial_run)


@pytest.mark.slow
def test_a_driver_on_ray_killed_twice_and_resumed_ends_with_the_same_trials(
    folder: Path, serial_run: RunFolder
) -> None:
    _kill(folder, "tune", "report:30")
    _kill(folder, "tune", "report:12", "resume")
    resume(_run_of(folder))
    assert describe_trials(_run_of(folder)) == describe_trials(serial_run)


@pytest.mark.slow
def test_several_workers_killed_and_resumed_lose_no_trial_and_count_none_twice(
    tmp_path: Path,
) -> None:
    write_study(tmp_path, resources={"workers": 2})
    _kill(tmp_path, "tune", "report:25")
    trials = read_trials(_run_of(tmp_path))
    assert any(trial.state.name == "RUNNING" for trial in trials)
    resume(_run_of(tmp_path))
    trials = read_trials(_run_of(tmp_path))
    assert [trial.number for trial in trials] == list(range(16))
    roles = sorted(trial.user_attrs["role"] for trial in trials)
    assert roles == ["baseline"] * 2 + ["finalist"] * 2 + ["search"] * 12
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}


@pytest.mark.slow
@pytest.mark.parametrize("service", ["gcs_server", "raylet"])
def test_a_driver_ends_soon_after_a_service_of_its_ray(folder: Path, service: str) -> None:
    write_study(folder, training=ENDLESS, baselines={"architectures": []})
    driver = _start(folder, "tune", service, "report:3")
    assert driver.stderr is not None
    while f"killed {service}" not in (line := driver.stderr.readline()):
        assert line, "the driver ended before"
    with driver:
        try:
            # By itself, Ray waits for a minute.
            driver.communicate(timeout=50)
        finally:
            driver.kill()
    assert driver.returncode == 1
    [trial] = read_trials(_run_of(folder))
    assert trial.state.name == "RUNNING"
    assert len(trial.intermediate_values) >= 3


def _assert_can_be_resumed(folder: Path, serial_run: RunFolder) -> None:
    """Resume a study that was stopped; ``serial_run`` has the same settings."""
    run = _run_of(folder)
    assert len(read_trials(run)) == 3
    resume(run)
    assert describe_trials(run) == describe_trials(serial_run)


def test_ctrl_c_stops_a_study_which_resumes_to_the_same_trials(
    tmp_path: Path, serial_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, reports = Ledger.report, iter(range(100))

    def report_and_signal(ledger: Ledger, result: EpochResult) -> bool:
        pruned = report(ledger, result)
        if next(reports) == 10:  # in mid-search
            signal.raise_signal(signal.SIGINT)
        return pruned

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "report", report_and_signal)
        with pytest.raises(InterruptedStudyError, match="searchlab study resume") as stopped:
            run_study(tmp_path, "serial")
    assert stopped.value.exit_code == 130
    _assert_can_be_resumed(tmp_path, serial_run)


# SIGINT is handled by the same handler: above in this process, and below on Ray.
@pytest.mark.slow
def test_a_signal_stops_the_serial_engine_and_the_study_resumes(
    folder: Path, serial_run: RunFolder
) -> None:
    code, out, err = _finish(_start(folder, "serial", "SIGTERM", IN_MID_SEARCH))
    assert code == 143, err
    assert f"searchlab study resume {_run_of(folder).path}" in err
    assert "Traceback" not in err
    assert out == ""  # no leaderboard of half a study
    _assert_can_be_resumed(folder, serial_run)


@pytest.mark.slow
def test_a_signal_stops_ray_and_the_study_resumes(folder: Path, serial_run: RunFolder) -> None:
    code, _, err = _finish(_start(folder, "tune", "SIGTERM", IN_MID_SEARCH))
    assert code == 143, err
    assert f"searchlab study resume {_run_of(folder).path}" in err
    assert "Traceback" not in err
    _assert_can_be_resumed(folder, serial_run)


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_trials_to_end(tmp_path: Path) -> None:
    write_study(tmp_path, training=ENDLESS, search={"pruner": "none"})
    code, _, err = _finish(_start(tmp_path, "tune", "SIGINT", "report:3"))
    assert code == 130, err
    assert f"searchlab study resume {_run_of(tmp_path).path}" in err
    assert "Traceback" not in err
    [trial] = read_trials(_run_of(tmp_path))
    assert trial.state.name == "RUNNING"
    assert list(_run_of(tmp_path).checkpoints.glob("trial-00000.*-*.safetensors"))


@pytest.mark.slow
def test_ctrl_c_twice_stops_at_once_and_the_study_resumes(
    folder: Path, serial_run: RunFolder
) -> None:
    code, _, err = _finish(_start(folder, "tune", "SIGINT+SIGINT", IN_MID_SEARCH))
    assert code == 130, err
    assert "can be resumed" in err
    assert "Traceback" not in err
    _assert_can_be_resumed(folder, serial_run)


@pytest.mark.slow
def test_a_second_driver_is_refused_while_the_first_is_alive(
    folder: Path, serial_run: RunFolder
) -> None:
    driver = _start(folder, "serial", "SIGSTOP", IN_MID_SEARCH)
    try:
        _, status = os.waitpid(driver.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        before = describe_trials(_run_of(folder))
        with pytest.raises(InputError, match="is being run by another process"):
            resume(_run_of(folder))
        with pytest.raises(InputError, match="already exists"):
            run_study(folder, "serial")
        assert describe_trials(_run_of(folder)) == before
    finally:
        driver.kill()
        _finish(driver)
    _assert_can_be_resumed(folder, serial_run)
