"""Several hosts on this one machine: namespaces with addresses, host names and disks of their own.

Every namespace belongs to a process that dies with this one, so nothing outlives a crashed test,
and nothing is configured outside: the bridge that joins the hosts is in a namespace too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

__all__ = ["EmulatedHosts", "Host", "HostProcess", "why_not"]

_NETWORK = "10.77.0"
_TOOLS = ("ip", "mount", "nsenter", "setpriv", "unshare")
_START_SECONDS = 60.0

# Process 1 of a host: makes the host what it is, then only reaps orphans. The disk of this host
# is mounted before the folder that holds everyone's is hidden.
_HOST_SCRIPT = """
set -e
name=$1 disks=$2 disk=$3 hosts=$4
mount --bind "$disks/$name" "$disk"
mount -t tmpfs -o mode=0755 tmpfs "$disks"
mount -t tmpfs -o mode=1777,size=1g tmpfs /dev/shm
mount --bind "$hosts" /etc/hosts
hostname "$name"
ip link set lo up
touch "$disk/.up"
while :; do sleep 1000 & wait; done
"""
_SWITCH_SCRIPT = """
set -e
ip link add bridge type bridge
ip link set bridge up
touch "$1"
while :; do sleep 1000 & wait; done
"""


def why_not() -> str | None:
    """Return what keeps hosts from being emulated here, or None."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)} (iproute2 and util-linux)"
    probe = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--uts", "--ipc"]
        + ["ip", "link", "add", "probe", "type", "veth", "peer", "name", "peer"],
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode:
        return f"namespaces cannot be made: {probe.stderr.strip()}"
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        return "the kernel does not list the children of a process"
    return None


class HostProcess:
    """A process on an emulated host, seen from outside."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self._popen = popen

    @property
    def pid(self) -> int:
        """The process itself, numbered as outside: nsenter is only its parent."""
        return _only_child(self._popen.pid)

    def poll(self) -> int | None:
        """Return the exit code (minus the signal), or None while it runs."""
        return self._popen.poll()

    def wait(self, timeout: float) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        return self._popen.wait(timeout)

    def signal(self, number: int) -> None:
        """Send a signal to the process; nothing if it has ended."""
        if self._popen.poll() is None:
            os.kill(self.pid, number)


class Host:
    """One emulated host. Made by EmulatedHosts."""

    def __init__(self, name: str, address: str, disk: Path, outside: Path) -> None:
        self.name = name
        self.address = address
        self.disk = disk
        """The private disk, as this host sees it; every host has its own under the same path."""
        self.outside = outside
        """The same folder, as seen by the test."""
        self.environment: dict[str, str] = {}
        self._stack = ExitStack()
        self._init: int | None = None
        self._started: list[subprocess.Popen[str]] = []

    def start(self, disks: Path, hosts_file: Path) -> None:
        """Make the namespaces; the network cable is plugged in by EmulatedHosts."""
        arguments = [self.name, str(disks), str(self.disk), str(hosts_file)]
        kinds = ("--net", "--mount", "--pid", "--mount-proc", "--uts", "--ipc")
        self._init = _hold_namespaces(
            self._stack, kinds, _HOST_SCRIPT, arguments, self.outside / ".up"
        )

    @property
    def init(self) -> int:
        """The pid of the host's process 1, as seen outside."""
        assert self._init is not None, f"{self.name} is down"
        return self._init

    @property
    def is_up(self) -> bool:
        return self._init is not None

    def popen(
        self,
        command: Sequence[object],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: IO[str] | int | None = None,
        stderr: IO[str] | int | None = subprocess.STDOUT,
    ) -> HostProcess:
        """Start a command on this host. It dies with the host at the latest."""
        popen = subprocess.Popen(
            self._enter(cwd) + [str(word) for word in command],
            env=self._make_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        self._started.append(popen)
        return HostProcess(popen)

    def run(
        self,
        command: Sequence[object],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 300,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on this host to its end. With ``check``, a failure is an AssertionError."""
        done = subprocess.run(
            self._enter(cwd) + [str(word) for word in command],
            env=self._make_environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{self.name}: {command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def run_python(self, source: str, *arguments: object, timeout: float = 300) -> str:
        """Run Python source on this host; return what it printed."""
        return self.run([sys.executable, "-c", source, *arguments], timeout=timeout).stdout

    def kill(self) -> None:
        """Power off: every process of the host is killed, and its network is gone."""
        self._stack.close()
        self._init = None
        for popen in self._started:
            popen.wait(_START_SECONDS)
        self._started.clear()
        (self.outside / ".up").unlink(missing_ok=True)

    def _enter(self, cwd: Path | None) -> list[str]:
        enter = ["nsenter", "-t", str(self.init), "--mount", "--net", "--pid", "--uts", "--ipc"]
        return [*enter, "env", "-C", str(cwd or self.disk)]

    def _make_environment(self, env: Mapping[str, str] | None) -> dict[str, str]:
        own = {
            "HOME": str(self.disk),
            "TMPDIR": str(self.disk),
            "RAY_TMPDIR": str(self.disk),
            "OMP_NUM_THREADS": "1",
        }
        return {**os.environ, **own, **self.environment, **(env or {})}


class EmulatedHosts:
    """Hosts that reach each other under 10.77.0.x, while this context is open.

    ``shared`` is a folder that all of them see, and the test too; everything else that they write
    belongs on their private ``disk``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        # Ray's sockets lie in here, and their paths may have 107 characters at most.
        self._base = Path(tempfile.mkdtemp(prefix="hosts-", dir="/tmp"))
        self._base.chmod(0o755)
        self._disks = self._base / "disks"
        self._hosts_file = self._base / "etc-hosts"
        self._stack = ExitStack()
        self._switch = 0
        self.shared = self._base / "shared"
        self.hosts = {
            name: Host(name, f"{_NETWORK}.{number}", self._base / "disk", self._disks / name)
            for number, name in enumerate(names, start=1)
        }

    def __enter__(self) -> EmulatedHosts:
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def close(self) -> None:
        """Power everything off and remove all files."""
        for host in self.hosts.values():
            host.kill()
        self._stack.close()
        shutil.rmtree(self._base, ignore_errors=True)

    def cut_off(self, name: str) -> None:
        """Pull the host's network cable: what is sent is lost, and nobody is told."""
        self._on_switch("ip", "link", "set", f"to-{name}", "down")

    def reconnect(self, name: str) -> None:
        """Plug the cable in again."""
        self._on_switch("ip", "link", "set", f"to-{name}", "up")

    def restart(self, name: str) -> None:
        """Power a killed host on again, with its disk as it was."""
        self._start_host(self.hosts[name])

    def _build(self) -> None:
        for folder in (self._base / "disk", self._disks, self.shared):
            folder.mkdir()
        for host in self.hosts.values():
            host.outside.mkdir()
        lines = [f"{host.address} {name}" for name, host in self.hosts.items()]
        self._hosts_file.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        ready = self._base / ".switch-up"
        self._switch = _hold_namespaces(
            self._stack, ("--net", "--pid"), _SWITCH_SCRIPT, [str(ready)], ready
        )
        for host in self.hosts.values():
            self._start_host(host)

    def _start_host(self, host: Host) -> None:
        host.start(self._disks, self._hosts_file)
        cable = f"to-{host.name}"
        self._on_switch("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0")
        self._on_switch("ip", "link", "set", "eth0", "netns", str(host.init))
        self._on_switch("ip", "link", "set", cable, "master", "bridge", "up")
        host.run(["ip", "address", "add", f"{host.address}/24", "dev", "eth0"])
        host.run(["ip", "link", "set", "eth0", "up"])
        # Leads nowhere, but programs find their own address by asking for a way to the internet.
        host.run(["ip", "route", "add", "default", "dev", "eth0"])

    def _on_switch(self, *command: str) -> None:
        enter = ["nsenter", "-t", str(self._switch), "--net"]
        subprocess.run([*enter, *command], check=True, capture_output=True, text=True)


def _hold_namespaces(
    stack: ExitStack, kinds: Sequence[str], script: str, arguments: Sequence[str], ready: Path
) -> int:
    """Start a script as process 1 of new namespaces and wait for ``ready``; return its pid.

    ``stack`` gets what ends them. Killed, they take every process within along.
    """
    lifeline = ["setpriv", "--pdeathsig", "KILL", "unshare", *kinds, "--fork", "--kill-child"]
    holder = subprocess.Popen(
        [*lifeline, "bash", "-c", script, "bash", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    stack.callback(_end, holder)
    deadline = time.monotonic() + _START_SECONDS
    while not ready.exists():
        if holder.poll() is not None:
            assert holder.stderr is not None
            raise RuntimeError(f"a host could not be made: {holder.stderr.read()}")
        assert time.monotonic() < deadline, "a host takes too long to come up"
        time.sleep(0.01)
    return _only_child(holder.pid)


def _end(holder: subprocess.Popen[Any]) -> None:
    # Process 1 first: its parent then returns when the last process of the namespace is gone.
    # Killing the parent would be enough, but nobody could wait for the rest.
    with suppress(ProcessLookupError):
        os.kill(_only_child(holder.pid), signal.SIGKILL)
    try:
        holder.wait(_START_SECONDS)
    finally:
        holder.kill()
    assert holder.stderr is not None
    holder.stderr.close()


def _only_child(pid: int) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        children = _list_children(pid)
        if children:
            return int(children[0])
        if children is None or time.monotonic() > deadline:
            raise ProcessLookupError(f"process {pid} has no child")
        time.sleep(0.01)


def _list_children(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
