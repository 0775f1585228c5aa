"""A process with an open channel to a proxy forks children that live to their exec, as Ray does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from searchlab.study.storage.opening import sqlite_url

LIMIT_SECONDS = 120

# The server is a process of its own: in one with both, calls are answered too fast to be in a fork.
SERVE = """
import sys, threading
from searchlab.study.storage.opening import open_storage
from searchlab.study.storage.server import start_server
print(start_server(open_storage(sys.argv[1]), host="127.0.0.1", port=0).port, flush=True)
threading.Event().wait()
"""

# With a function to call between fork and exec, as Ray's start gives one, Popen forks for real.
FORK = """
import subprocess, sys, time
from searchlab.study.storage.opening import open_storage
storage = open_storage(f"grpc://127.0.0.1:{sys.argv[1]}")
dead = 0
for _ in range(400):
    dead += subprocess.Popen(["true"], preexec_fn=lambda: None).wait() != 0
    time.sleep(0.005)
storage.close()
print(dead)
"""


@pytest.mark.slow
def test_no_child_dies_before_its_exec(tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    python = [sys.executable, "-W", "ignore", "-c"]
    server = subprocess.Popen(
        [*python, SERVE, sqlite_url(tmp_path / "study.db")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        done = subprocess.run(
            [*python, FORK, port], capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
    finally:
        server.kill()
        server.communicate()
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 0, done.stderr
