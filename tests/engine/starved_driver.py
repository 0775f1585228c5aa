"""Runs ``searchlab`` on a host whose memory runs out whenever a worker asks for that.

``starved_driver.py FOLDER study ...``, in a mount namespace of its own: what Ray's memory monitor
reads of this host's memory are files made here, and nothing is allocated. A worker that writes its
process id to ``FOLDER/hungry`` sees the memory used up until it is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from searchlab.cli.main import main

CGROUP = Path("/sys/fs/cgroup")
LIMIT, CALM, FULL = 6_000_000_000, 1_000_000_000, 5_900_000_000


def _pretend(used: int) -> None:
    (CGROUP / "memory.current").write_text(f"{used}\n")


def _mount_pretence() -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(CGROUP)], check=True)
    (CGROUP / "memory.max").write_text(f"{LIMIT}\n")
    (CGROUP / "memory.stat").write_text("inactive_file 0\nactive_file 0\n")
    _pretend(CALM)


def _starve(hungry: Path) -> None:
    while True:
        time.sleep(0.02)
        if hungry.exists():
            process = psutil.Process(int(hungry.read_text()))
            hungry.unlink()
            _pretend(FULL)
            psutil.wait_procs([process], timeout=30)
            _pretend(CALM)


if __name__ == "__main__":
    _mount_pretence()
    os.environ.update(RAY_memory_usage_threshold="0.9", RAY_memory_monitor_refresh_ms="50")
    threading.Thread(target=_starve, args=[Path(sys.argv[1], "hungry")], daemon=True).start()
    main(sys.argv[2:])
