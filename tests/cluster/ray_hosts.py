"""A Ray cluster over emulated hosts: a head that runs no trials, and workers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from emulated_hosts import EmulatedHosts, Host

__all__ = ["RayHosts"]

PORT = 6379
_UP_SECONDS = 180.0

# What Ray needs to be small: two cores carry four hosts.
_SETTINGS = {
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
}

_LIST_NODES = """
import json, ray
ray.init(address="auto", log_to_driver=False, logging_level="CRITICAL")
print(json.dumps({n["NodeManagerAddress"]: n["Alive"] for n in ray.nodes()}))
"""

# Prints a line for each address that is not alive any more, with the time of day.
_WATCH_NODES = """
import json, sys, time, ray
ray.init(address="auto", log_to_driver=False, logging_level="CRITICAL")
address, limit = sys.argv[1], time.time() + float(sys.argv[2])
while time.time() < limit:
    if not any(n["Alive"] for n in ray.nodes() if n["NodeManagerAddress"] == address):
        print(json.dumps({"dead": time.time()}))
        sys.exit(0)
    time.sleep(0.2)
print(json.dumps({"dead": None}))
"""


class RayHosts:
    """Ray on emulated hosts: started, asked what it sees, and started again on one of them."""

    def __init__(self, hosts: EmulatedHosts, head: str, workers: Iterable[str]) -> None:
        self._hosts = hosts
        self.head = hosts[head]
        self.workers = [hosts[name] for name in workers]
        self.address = f"{self.head.address}:{PORT}"

    def start(self, *, cpus_per_worker: int = 1, dashboard: bool = False) -> None:
        """Start the head and then the workers; returns when Ray sees them all."""
        token = self._hosts.shared / "ray-token"
        token.touch(mode=0o600)
        token.write_text("0123456789abcdef" * 4)
        for host in (self.head, *self.workers):
            host.environment.update(_SETTINGS, RAY_AUTH_TOKEN_PATH=str(token))
        self._start_on(
            self.head,
            "--head",
            f"--port={PORT}",
            "--num-cpus=0",
            f"--include-dashboard={str(dashboard).lower()}",
        )
        for worker in self.workers:
            self.join(worker, cpus=cpus_per_worker)
        self.wait_for(len(self.workers) + 1)

    def join(self, worker: Host, *, cpus: int = 1) -> None:
        """Start Ray on a worker host; it is up when ``wait_for`` says so."""
        self._start_on(worker, f"--address={self.address}", f"--num-cpus={cpus}")

    def wait_for(self, count: int) -> None:
        """Return when Ray sees that many live nodes."""
        deadline = time.monotonic() + _UP_SECONDS
        while (seen := self._try_list()) is None or sum(seen.values()) < count:
            assert time.monotonic() < deadline, f"Ray sees {seen}\n{self.read_logs()}"
            time.sleep(0.5)

    def list_nodes(self) -> dict[str, bool]:
        """Return whether each address that Ray ever saw is alive."""
        nodes: dict[str, bool] = json.loads(self.head.run_python(_LIST_NODES).splitlines()[-1])
        return nodes

    def watch_until_dead(self, host: Host, limit_seconds: float) -> float | None:
        """Return the time of day at which Ray held a host for dead, None if not within limit."""
        printed = self.head.run_python(
            _WATCH_NODES, host.address, limit_seconds, timeout=limit_seconds + 60
        )
        dead: float | None = json.loads(printed.splitlines()[-1])["dead"]
        return dead

    def read_logs(self) -> str:
        """Return the ends of what ``ray start`` printed on each host."""
        logs = [host.outside / "ray-start.log" for host in (self.head, *self.workers)]
        return "\n".join(f"{log.parent.name}:\n{log.read_text()[-2000:]}" for log in logs)

    def _start_on(self, host: Host, *options: str) -> None:
        log: Path = host.outside / "ray-start.log"
        with log.open("a") as out:
            host.popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
                + [f"--node-ip-address={host.address}", "--object-store-memory=100000000"]
                + ["--disable-usage-stats", "--block"],
                stdout=out,
            )

    def _try_list(self) -> dict[str, bool] | None:
        done = self.head.run([sys.executable, "-c", _LIST_NODES], check=False, timeout=60)
        # Ray may print lines of its own after ours, or end without it while it is starting.
        printed = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return json.loads(printed[-1]) if done.returncode == 0 and printed else None
