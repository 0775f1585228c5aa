"""The emulated hosts are what they claim to be, shown with plain Ray."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest
from emulated_hosts import EmulatedHosts
from ray_hosts import RayHosts

pytestmark = pytest.mark.cluster

_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 8000), timeout=2)"

_ASK_EVERY_HOST = """
import json, pathlib, socket, sys, ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On
ray.init(address="auto", log_to_driver=False, logging_level="CRITICAL")

@ray.remote(num_cpus=1)
def describe(folder):
    mine = pathlib.Path(folder, "mine")
    seen = mine.read_text() if mine.exists() else None
    mine.write_text(socket.gethostname())
    return [ray.util.get_node_ip_address(), socket.gethostname(), seen]

workers = [n["NodeID"] for n in ray.nodes() if n["Resources"].get("CPU")]
tasks = [describe.options(scheduling_strategy=On(w, soft=False)).remote(sys.argv[1])
         for w in workers]
print(json.dumps(ray.get(tasks)))
"""

# Runs tasks on one host until another is held for dead; prints when that was, and when and where
# the tasks ended.
_WORK_MEANWHILE = """
import json, sys, time, ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On
ray.init(address="auto", log_to_driver=False, logging_level="CRITICAL")
busy, lost, limit = sys.argv[1], sys.argv[2], time.time() + float(sys.argv[3])

@ray.remote(num_cpus=1)
def work():
    return ray.util.get_node_ip_address()

def find(address):
    return [n for n in ray.nodes() if n["NodeManagerAddress"] == address and n["Alive"]]

[node] = find(busy)
on_busy = work.options(scheduling_strategy=On(node["NodeID"], soft=False))
ended = []
print("ready", flush=True)
while find(lost) and time.time() < limit:
    ended.append([ray.get(on_busy.remote()), time.time()])
    time.sleep(0.5)
print(json.dumps({"dead": None if find(lost) else time.time(), "ended": ended}))
"""


def test_a_cut_host_reaches_nobody_until_it_is_reconnected(hosts: EmulatedHosts) -> None:
    head, worker = hosts["head"], hosts["worker-1"]
    serve = [sys.executable, "-m", "http.server", "8000", "--bind", worker.address]
    worker.popen(serve, stdout=-3)

    def is_reached() -> bool:
        return head.run([sys.executable, "-c", _CONNECT, "worker-1"], check=False).returncode == 0

    deadline = time.monotonic() + 30
    while not is_reached():
        assert time.monotonic() < deadline
    hosts.cut_off("worker-1")
    assert not is_reached()
    hosts.reconnect("worker-1")
    assert is_reached()


def test_a_killed_host_takes_its_processes_along_and_keeps_its_disk(hosts: EmulatedHosts) -> None:
    worker = hosts["worker-1"]
    worker.run(["bash", "-c", "echo kept > $HOME/file"])
    process = worker.popen(["sleep", "1000"])
    pid = process.pid
    worker.kill()
    assert process.wait(10) == -signal.SIGKILL
    assert not worker.is_up
    assert worker.outside.joinpath("file").read_text() == "kept\n"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    hosts.restart("worker-1")
    assert worker.run(["cat", worker.disk / "file"]).stdout == "kept\n"


def test_nothing_outlives_the_hosts(hosts: EmulatedHosts) -> None:
    outside = hosts["head"].outside
    process = hosts["head"].popen(["sleep", "1000"])
    pid = process.pid
    hosts.close()
    assert process.poll() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not outside.exists()


def test_ray_runs_a_task_on_each_host_with_a_disk_of_its_own(ray_hosts: RayHosts) -> None:
    disk = ray_hosts.head.disk
    printed = ray_hosts.head.run_python(_ASK_EVERY_HOST, disk)
    expected = [[worker.address, worker.name, None] for worker in ray_hosts.workers]
    assert sorted(json.loads(printed.splitlines()[-1])) == sorted(expected)
    assert not (ray_hosts.head.outside / "mine").exists()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cut_off", "kill"])
def test_ray_notices_a_lost_host_within_90_seconds_while_others_work(
    hosts: EmulatedHosts, ray_hosts: RayHosts, loss: str
) -> None:
    busy, lost = hosts["worker-1"], hosts["worker-2"]
    log = ray_hosts.head.outside / "watch.log"
    with log.open("w") as out:
        command = [sys.executable, "-c", _WORK_MEANWHILE, busy.address, lost.address, 120]
        watch = ray_hosts.head.popen(command, stdout=out)
    deadline = time.monotonic() + 60
    while "ready" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    since = time.time()
    if loss == "cut_off":
        hosts.cut_off(lost.name)
    else:
        lost.kill()
    assert watch.wait(180) == 0, log.read_text()
    seen = json.loads(log.read_text().splitlines()[-1])
    assert seen["dead"] is not None
    assert seen["dead"] - since < 90  # what the project promises of Ray's own settings
    meanwhile = [address for address, ended in seen["ended"] if ended > since]
    assert len(meanwhile) > 10
    assert set(meanwhile) == {busy.address}
    assert ray_hosts.list_nodes()[lost.address] is False
