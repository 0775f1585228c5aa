"""Connecting to Ray: one of our own is closed to others, and a bad address is told at once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from searchlab.engine.ray import cluster
from searchlab.engine.ray.access_token import token_settings
from searchlab.engine.ray.secrecy import hidden_secrets
from searchlab.errors import InputError

LIMIT_SECONDS = 300
JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
SECRETS = {"SEARCHLAB_STORAGE": "postgresql://u:planted@h/d", "PGPASSWORD": "planted"}

# What `connected_ray` gives, told by the driver, a worker of Ray, and /proc.
SCRIPT = """
import json, os, stat, sys
from pathlib import Path
import psutil
from searchlab.config.resources import ResourceSpec
from searchlab.engine.ray import cluster, node_report
from searchlab.errors import InputError

address = sys.argv[1] or None

def look(facts):
    import ray
    here = psutil.Process()
    task = ray.remote(num_cpus=0)(lambda: (os.getpid(), dict(os.environ)))
    pid, environment = ray.get(task.remote())
    tree = [here, *here.children(recursive=True)]
    token = os.environ.get("RAY_AUTH_TOKEN_PATH")
    logs = Path(node_report.read_ray_folder(), "session_latest").resolve().rglob("*")
    return {
        "is_ours": facts.is_ours,
        "nodes": [[node.address, node.cpus, node.alive] for node in facts.nodes],
        "is_worker_child": pid in [process.pid for process in tree],
        "worker": environment,
        "driver": dict(os.environ),
        "listeners": [
            connection.laddr.ip
            for process in tree
            for connection in process.net_connections(kind="inet")
            if connection.status == "LISTEN"
        ],
        "planted": [
            process.name() for process in tree[1:]
            if "planted" in Path(f"/proc/{process.pid}/environ").read_text(errors="replace")
            or "planted" in " ".join(process.cmdline())
        ],
        "token_modes": token and [
            stat.S_IMODE(Path(path).stat().st_mode) for path in (token, Path(token).parent)
        ],
        "logs": {path.name: b"planted" in path.read_bytes() for path in logs if path.is_file()},
    }

answers = []
for _ in range(int(sys.argv[2])):
    try:
        with cluster.connected_ray(ResourceSpec(workers=3), address=address) as facts:
            answers.append(look(facts))
    except InputError as error:
        answers.append({"error": str(error)})
    answers[-1]["after"] = dict(os.environ)
print(json.dumps(answers))
"""


def connect(
    address: str = "",
    *arguments: str,
    times: int = 1,
    environment: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Connect in another process, so many times in a row; return what it saw."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TUNE_"))}
    command = [sys.executable, "-c", SCRIPT, address, str(times), *arguments]
    done = subprocess.run(
        command,
        env={**kept, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    """Ray makes sockets below its folder, and a socket's path may have 107 bytes only."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def own(short_folder: Path) -> list[dict[str, Any]]:
    home = short_folder / "home"
    home.mkdir()
    environment = {**SECRETS, "RAY_TMPDIR": str(short_folder), "HOME": str(home)}
    environment["RAY_AUTH_MODE"] = "disabled"  # what the user's shell says is for other clusters
    storage = ["--storage", SECRETS["SEARCHLAB_STORAGE"]]
    answers = connect("", *storage, times=2, environment=environment)
    for answer in answers:
        answer["home"] = [str(path) for path in home.rglob("*")]
    return answers


@pytest.mark.slow
def test_a_ray_of_our_own_listens_on_loopback_only(own: list[dict[str, Any]]) -> None:
    for answer in own:
        assert answer["is_ours"]
        assert len(answer["listeners"]) >= 5, "the GCS, the raylet and the workers do listen"
        assert set(answer["listeners"]) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


@pytest.mark.slow
def test_a_ray_of_our_own_asks_for_a_token_that_only_we_can_read(own: list[dict[str, Any]]) -> None:
    first, second = own
    for answer in own:
        assert answer["worker"]["RAY_AUTH_MODE"] == "token"
        assert answer["token_modes"] == [0o600, 0o700]
        assert not Path(answer["driver"]["RAY_AUTH_TOKEN_PATH"]).parent.exists()
        assert answer["after"]["RAY_AUTH_MODE"] == "disabled"
        assert "RAY_AUTH_TOKEN_PATH" not in answer["after"]
        assert not [path for path in answer["home"] if "token" in path]
    assert first["driver"]["RAY_AUTH_TOKEN_PATH"] != second["driver"]["RAY_AUTH_TOKEN_PATH"]


@pytest.mark.slow
def test_no_process_nor_log_of_a_ray_of_our_own_has_a_password(own: list[dict[str, Any]]) -> None:
    for answer in own:
        assert answer["is_worker_child"]
        assert answer["planted"] == []
        assert not SECRETS.keys() & answer["worker"].keys()
        assert SECRETS.items() <= answer["driver"].items(), "a storage may have to be reopened"
        assert answer["logs"]
        assert [name for name, is_planted in answer["logs"].items() if is_planted] == []


@pytest.mark.slow
def test_a_ray_of_our_own_has_a_cpu_for_each_worker_asked_for(own: list[dict[str, Any]]) -> None:
    [[address, cpus, alive]] = own[0]["nodes"]
    assert address == "127.0.0.1"
    assert cpus >= 3
    assert alive


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("127.0.0.1:{free}", "--address 127.0.0.1:{free} cannot be reached: Connection refused"),
        ("no.such.host.invalid:6379", "--address no.such.host.invalid:6379 cannot be reached"),
        ("somewhere", "--address somewhere must be auto or HOST:PORT"),
        ("ray://127.0.0.1:10001", "A ray:// address is for Ray's client"),
        ("127.0.0.1:123456", "must be auto or HOST:PORT"),
    ],
)
def test_a_bad_address_is_told(address: str, rule: str) -> None:
    free = _free_port()
    address = address.format(free=free)
    with pytest.raises(InputError) as raised:
        cluster._join(address, f"--address {address}")
    assert rule.format(free=free) in str(raised.value)


def test_an_address_from_the_environment_is_named_as_such() -> None:
    address = f"127.0.0.1:{_free_port()}"
    [answer] = connect(environment={"RAY_ADDRESS": address})
    assert answer["error"].startswith(f"RAY_ADDRESS {address} cannot be reached")


def test_what_listens_but_is_no_ray_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PING_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match="does not answer like Ray"):
            cluster._join(address, f"--address {address}")


@pytest.fixture(scope="module")
def guarded(short_folder: Path) -> Iterator[tuple[str, Path]]:
    """A cluster of others, with a token: its address and the token's file."""
    token = short_folder / "token"
    token.touch(mode=0o600)
    token.write_text("ab" * 32)
    port = _free_port()
    options = ["--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false", "--block"]
    folder = ["--node-ip-address=127.0.0.1", f"--temp-dir={short_folder / 'ray'}"]
    head = subprocess.Popen(
        [str(Path(sys.executable).with_name("ray")), "start", *options, *folder],
        env={**os.environ, **token_settings(token), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert head.stdout is not None
    for line in head.stdout:
        if "block" in line:  # the last thing that it says
            break
    yield f"127.0.0.1:{port}", token
    os.killpg(head.pid, signal.SIGKILL)
    head.communicate(timeout=LIMIT_SECONDS)


def _settings(token: Path) -> dict[str, str]:
    # The cluster is a loopback one, so that the test opens nothing to the network.
    return {**token_settings(token), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@pytest.mark.slow
def test_a_cluster_lets_in_who_has_its_token_only(
    guarded: tuple[str, Path], tmp_path: Path
) -> None:
    address, token = guarded
    wrong = tmp_path / "wrong"
    wrong.write_text("cd" * 32)
    for file in (wrong, tmp_path / "missing"):
        [answer] = connect(address, environment=_settings(file))
        assert "rejects this process" in answer["error"]
        assert "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH=" in answer["error"]
    for answer in connect(address, times=2, environment=_settings(token)):
        assert not answer["is_ours"]
        assert answer["nodes"] == [["127.0.0.1", 2.0, True]]
        assert not answer["is_worker_child"]


@pytest.mark.slow
def test_a_submitted_job_keeps_its_passwords_from_the_workers(guarded: tuple[str, Path]) -> None:
    address, token = guarded
    job = {"runtime_env": {"env_vars": {**SECRETS, "HARMLESS": "1"}}, "metadata": {}}
    environment = {JOB_CONFIG: json.dumps(job), "RAY_ADDRESS": address, **SECRETS}
    [answer] = connect(environment={**environment, **_settings(token)})
    assert answer["worker"]["HARMLESS"] == "1"
    assert not SECRETS.keys() & answer["worker"].keys()
    assert json.loads(answer["after"][JOB_CONFIG]) == job


@pytest.mark.slow
def test_a_machine_that_is_no_node_is_told_how_to_become_one(guarded: tuple[str, Path]) -> None:
    address, token = guarded
    script = (
        "import sys; from searchlab.engine.ray import cluster_ping;"
        "cluster_ping.find_local_nodes = lambda: set();"
        "print(cluster_ping.ping(sys.argv[1])['state'])"
    )
    asked = subprocess.run(
        [sys.executable, "-c", script, address],
        env={**os.environ, **_settings(token)},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert asked.stdout.split()[-1] == "elsewhere"


def test_secrets_are_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGUSER", "someone")
    with contextlib.suppress(ZeroDivisionError), hidden_secrets():
        assert not SECRETS.keys() & os.environ.keys()
        assert os.environ["PGUSER"] == "someone"
        _ = 1 / 0
    assert SECRETS.items() <= os.environ.items()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
