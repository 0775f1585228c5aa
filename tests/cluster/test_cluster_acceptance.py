"""A study of 200 trials on four hosts, through everything that befalls a cluster in a week."""

from __future__ import annotations

import json
import signal

import pytest
from emulated_hosts import EmulatedHosts, HostProcess
from postgres_host import PostgresHost
from ray_hosts import RayHosts
from study_driver import StudyDriver

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

_SECONDS = 600.0  # for what takes one to two minutes on two cores

# 2 baselines + 196 + 2 finalists = 200.
_STUDY = {
    "search": {"trials": 196, "pruner": "median"},
    "training": {"epochs": 2},
    "baselines": {"architectures": ["a2"], "schemes": ["HF", "DT"]},
    "confirm": {"top": 2, "repeats": 0},
}


def kill_and_resume(driver: StudyDriver, process: HostProcess) -> HostProcess:
    process.signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    return driver.resume()


def test_200_trials_survive_two_killed_drivers_a_cut_host_and_a_restarted_database(
    hosts: EmulatedHosts,
    ray_hosts: RayHosts,
    postgres_host: PostgresHost,
    driver: StudyDriver,
) -> None:
    process = driver.begin(driver.write_study(**_STUDY))
    driver.await_ended(30, process=process, seconds=_SECONDS)
    process = kill_and_resume(driver, process)
    driver.await_ended(70, process=process, seconds=_SECONDS)
    postgres_host.restart(away_seconds=3)
    driver.await_ended(100, process=process, seconds=_SECONDS)
    process = kill_and_resume(driver, process)
    driver.await_ended(130, process=process, seconds=_SECONDS)
    hosts.cut_off("worker-2")
    driver.finish(process, seconds=_SECONDS)

    trials = driver.read_trials()
    odd = [trial for trial in trials if trial["state"] not in ("COMPLETE", "PRUNED")]
    assert odd == [], driver.log
    assert [trial["number"] for trial in trials] == list(range(200)), driver.log
    roles = [trial["user"]["role"] for trial in trials]
    assert {role: roles.count(role) for role in set(roles)} == {
        "baseline": 2,
        "search": 196,
        "finalist": 2,
    }
    assert {trial["user"]["node"] for trial in trials} == {w.address for w in ray_hosts.workers}
    doctor = driver.run("doctor", driver.run_folder, "--json")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert json.loads(doctor.stdout)["findings"] == []
