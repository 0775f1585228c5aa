"""Runs ``searchlab`` on the head of an emulated cluster and asks the database what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from emulated_hosts import EmulatedHosts, HostProcess
from small_studies import write_study

__all__ = ["StudyDriver"]

# Polled in the database itself: a count needs no Optuna, and comes while drivers are killed.
_AWAIT_ENDED = """
import sys, time, psycopg
url, count, limit = sys.argv[1], int(sys.argv[2]), time.time() + float(sys.argv[3])
ended = "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED', 'FAIL')"
while time.time() < limit:
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            while time.time() < limit:
                if connection.execute(ended).fetchone()[0] >= count:
                    sys.exit(0)
                time.sleep(0.1)
    except psycopg.Error:  # no table yet
        time.sleep(0.2)
sys.exit(1)
"""

_READ_TRIALS = """
import json, sys, optuna
[name] = optuna.get_all_study_names(sys.argv[1])
study = optuna.load_study(study_name=name, storage=sys.argv[1])
print(json.dumps([
    {"number": t.number, "state": t.state.name, "params": t.params, "values": t.values,
     "user": t.user_attrs, "system": t.system_attrs}
    for t in study.trials
]))
"""

_NAME = "clustered"


class StudyDriver:
    """One study on the cluster: the run folder is shared, the record is in PostgreSQL."""

    def __init__(self, hosts: EmulatedHosts, address: str, storage_url: str) -> None:
        self.head = hosts["head"]
        self.storage_url = storage_url
        self._address = address
        self._shared = hosts.shared
        self._log = hosts.shared / "driver.log"
        self.environment = {
            "SEARCHLAB_STORAGE": storage_url,
            "SEARCHLAB_RUNS": str(hosts.shared / "runs"),
            "SEARCHLAB_DATA": str(self.head.disk / "data"),
        }

    @property
    def run_folder(self) -> Path:
        return self._shared / "runs" / _NAME

    @property
    def log(self) -> str:
        """What all drivers printed so far."""
        return self._log.read_text() if self._log.exists() else ""

    def write_study(self, **changes: dict[str, Any]) -> Path:
        """Write the small study with some sections updated; return its file, seen by all hosts."""
        resources = {"workers": 3, **changes.pop("resources", {})}
        return write_study(self._shared, name=_NAME, resources=resources, **changes)

    def begin(self, study: Path) -> HostProcess:
        """Start ``study run`` on the head."""
        return self.start("study", "run", study, "--address", self._address)

    def resume(self) -> HostProcess:
        """Start ``study resume`` on the head."""
        return self.start("study", "resume", self.run_folder, "--address", self._address)

    def start(self, *arguments: object) -> HostProcess:
        """Start ``searchlab`` on the head; what it prints is added to the log."""
        return self.popen([sys.executable, "-m", "searchlab", *arguments])

    def popen(self, command: list[object], env: dict[str, str] | None = None) -> HostProcess:
        """Start any command on the head; what it prints is added to the log."""
        with self._log.open("a") as out:
            return self.head.popen(command, env=self.environment | (env or {}), stdout=out)

    def finish(self, process: HostProcess, *, seconds: float = 600.0) -> None:
        """Wait for a driver that must end well."""
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s\n{self.log}") from None
        assert code == 0, self.log

    def await_ended(self, count: int, *, process: HostProcess, seconds: float = 400.0) -> None:
        """Return when that many trials have ended, with the driver still at work."""
        url = self.storage_url.replace("+psycopg", "")
        command = [sys.executable, "-c", _AWAIT_ENDED, url, count, seconds]
        done = self.head.run(command, check=False, timeout=seconds + 30)
        assert done.returncode == 0, f"not {count} trials in {seconds} s\n{done.stderr}{self.log}"
        assert process.poll() is None, f"the driver had ended already\n{self.log}"

    def read_trials(self) -> list[dict[str, Any]]:
        """Return the trials as plain Optuna reads them."""
        printed = self.head.run_python(_READ_TRIALS, self.storage_url)
        trials: list[dict[str, Any]] = json.loads(printed.splitlines()[-1])
        return trials

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run ``searchlab`` on the head to its end, whatever it ends with."""
        command = [sys.executable, "-m", "searchlab", *arguments]
        return self.head.run(command, env=self.environment, check=False)
