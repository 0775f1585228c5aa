"""Drivers in processes of their own that hold a study's lock until they are told to end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchlab.records.locks.drivers import LockTimes

# Ends by itself when its input does, which it also does when the test run is killed.
_HOLD = """
import sys
from pathlib import Path
from searchlab.records.locks.study_lock import hold_study
from searchlab.records.storage.opening import open_storage

url, name, lock_file, driver, shared = sys.argv[1:]
with hold_study(open_storage(url), url, name, lock_file=Path(lock_file), driver=driver,
                shared=shared == "shared"):
    print("held", flush=True)
    sys.stdin.read()
"""

QUICK = LockTimes(acquire=0.5, ping=0.1, settle=0.5, grace=1.5, decide=30.0)
# What a test that takes the place of the keeping thread gives.
UNATTENDED = LockTimes(acquire=0.5, ping=3600.0, settle=0.1)


@contextmanager
def holding_process(
    url: str, name: str, lock_file: Path, *, driver: str = "other-1-00000000", shared: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Hold a study from another process, until the block ends or the process is killed."""
    arguments = [url, name, str(lock_file), driver, "shared" if shared else "alone"]
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()
