"""A study on a cluster of several hosts: shared out, and ended whole when hosts are lost."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest
from emulated_hosts import EmulatedHosts
from ray_hosts import RayHosts
from study_driver import StudyDriver

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

_NUM_TRIALS = 16  # two baselines, twelve of the search, two finalists
# Seconds each on a shared core, so that every worker host is at work whenever one is lost.
_LONG = {"training": {"epochs": 250}, "search": {"trials": 12, "pruner": "none"}}


def assert_ended_whole(driver: StudyDriver) -> list[dict[str, Any]]:
    """Every trial came to a good end, once; return them."""
    trials = driver.read_trials()
    ends = [(t["number"], t["state"], t["user"].get("stop_reason")) for t in trials]
    assert [number for number, _, _ in ends] == list(range(_NUM_TRIALS)), f"{ends}\n{driver.log}"
    assert {t["state"] for t in trials} <= {"COMPLETE", "PRUNED"}, f"{ends}\n{driver.log}"
    return trials


def list_nodes(trials: list[dict[str, Any]]) -> set[str]:
    return {trial["user"]["node"] for trial in trials if "node" in trial["user"]}


def count_lost_workers(trials: list[dict[str, Any]]) -> int:
    found = (trial["system"].get("searchlab:interruptions", {}) for trial in trials)
    return sum(interruptions.get("worker_lost", 0) for interruptions in found)


def test_the_worker_hosts_share_a_study(driver: StudyDriver, ray_hosts: RayHosts) -> None:
    driver.finish(driver.begin(driver.write_study(training={"epochs": 40})))
    nodes = list_nodes(assert_ended_whole(driver))
    assert len(nodes) > 1
    assert nodes <= {worker.address for worker in ray_hosts.workers}


def test_a_submitted_job_runs_a_study(job_driver: StudyDriver) -> None:
    study = job_driver.write_study(training={"epochs": 40})
    submit = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit"]
    job = [sys.executable, "-m", "searchlab", "study", "run", study, "--address", "auto"]
    job_driver.finish(job_driver.popen([*submit, "--", *job]))
    assert job_driver.head.address not in list_nodes(assert_ended_whole(job_driver))
    assert job_driver.storage_url not in job_driver.log


@pytest.mark.parametrize("loss", ["cut_off", "kill"])
def test_a_study_ends_whole_when_a_worker_host_is_lost(
    hosts: EmulatedHosts, ray_hosts: RayHosts, driver: StudyDriver, loss: str
) -> None:
    process = driver.begin(driver.write_study(**_LONG))
    driver.await_ended(3, process=process)
    lost, since = ray_hosts.workers[1], time.time()
    if loss == "cut_off":
        hosts.cut_off(lost.name)
    else:
        lost.kill()
    dead = ray_hosts.watch_until_dead(lost, 120)
    assert dead is not None
    assert dead - since < 90  # the promise
    driver.finish(process)
    trials = assert_ended_whole(driver)
    assert count_lost_workers(trials) >= 1
    interrupted = [t for t in trials if "searchlab:interruptions" in t["system"]]
    assert lost.address not in list_nodes(interrupted)  # they were run again elsewhere
    status = driver.run("study", "status", driver.run_folder, "--json").stdout
    told = json.loads(status)["incidents"]
    assert told["workers_lost"] >= 1
    assert [host for host in told["hosts_lost"] if lost.address in host]
    assert driver.run("doctor", driver.run_folder).returncode == 0
