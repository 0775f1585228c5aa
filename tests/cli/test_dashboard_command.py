"""searchlab dashboard: serves a run on loopback, refuses other pages, ends by Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from command_line import assert_refused, run_searchlab

from searchlab.study.run_folder import RunFolder
from searchlab.study.storage.opening import open_storage, sqlite_url


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs, of which ``newer`` is the latest."""
    for age, name in enumerate(("older", "newer")):
        run = RunFolder(tmp_path / name)
        run.write({"name": name})
        os.utime(run.study_file, (1000 + age, 1000 + age))
        optuna.create_study(storage=open_storage(run.storage_url()), study_name=name)
    return tmp_path


@pytest.fixture
def served(runs: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The dashboard of the latest run in a process of its own, and its address."""
    command = [
        sys.executable,
        "-m",
        "searchlab",
        "dashboard",
        "--port",
        "0",
        "--runs-dir",
        str(runs),
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in its background has them ignore Ctrl-C, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:\d+/", line)
        try:
            assert match, line
            yield process, match[0]
        finally:
            process.kill()


def test_it_serves_the_latest_run_to_its_own_pages_only_read_only_until_ctrl_c(
    served: tuple[subprocess.Popen[str], str],
) -> None:
    process, url = served
    with urllib.request.urlopen(f"{url}api/studies", timeout=180) as response:
        studies = json.load(response)["study_summaries"]
    assert [study["study_name"] for study in studies] == ["newer"]
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        foreign = urllib.request.Request(f"{url}api/studies", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(foreign, timeout=180)
        assert error.value.code == 403
    delete = urllib.request.Request(f"{url}api/studies/1", method="DELETE")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(delete, timeout=180)
    assert error.value.code == 405
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_taken_port_is_named(runs: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = run_searchlab("dashboard", "older", "--runs-dir", runs, "--port", port)
    assert_refused(outcome, "--port", "in use", str(port))


def test_an_unknown_run_names_the_nearest(runs: Path) -> None:
    outcome = run_searchlab("dashboard", "newr", "--runs-dir", runs)
    assert_refused(outcome, "newr", "Did you mean newer")


def test_no_run_at_all_says_where_it_looked(tmp_path: Path) -> None:
    assert_refused(
        run_searchlab("dashboard", "--runs-dir", tmp_path), str(tmp_path), "contains no runs"
    )


def test_a_storage_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "missing" / "x.db")
    assert_refused(run_searchlab("dashboard", "--storage", url, "--port", 0), url)
