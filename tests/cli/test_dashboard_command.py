"""searchlab dashboard: serves runs on loopback, refuses other pages, ends by Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import assert_refused, run_searchlab
from toy_runs import make_toy

from searchlab.records.storage.opening import sqlite_url


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs, of which ``toy`` is the latest, and one that cannot be opened."""
    toy = make_toy(tmp_path)
    shutil.copytree(toy.path, tmp_path / "older")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.yaml").write_text("name: broken\n")
    for age, name in enumerate(("broken", "older", "toy")):
        os.utime(tmp_path / name / "study.yaml", (1000 + age, 1000 + age))
    return tmp_path


@pytest.fixture
def served(runs: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The dashboard of all runs in a process of its own, and its address."""
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


def test_it_serves_all_runs_to_its_own_pages_only_read_only_until_ctrl_c(
    served: tuple[subprocess.Popen[str], str],
) -> None:
    process, url = served
    with urllib.request.urlopen(f"{url}api/studies", timeout=180) as response:
        studies = json.load(response)["study_summaries"]
    assert sorted(study["study_name"] for study in studies) == ["older", "toy"]
    assert max(studies, key=lambda study: study["study_id"])["study_name"] == "toy", "on top"
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
    [left_out] = [line for line in err.splitlines() if "broken" in line]
    assert left_out.startswith("Left out: broken: ")


def test_a_taken_port_is_named(runs: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = run_searchlab("dashboard", "older", "--runs-dir", runs, "--port", port)
    assert_refused(outcome, "--port", "in use", str(port))


def test_a_run_that_cannot_be_opened_is_refused_if_it_is_named(runs: Path) -> None:
    outcome = run_searchlab("dashboard", "broken", "--runs-dir", runs, "--port", 0)
    assert_refused(outcome, "broken", "search.trials is required")


def test_runs_of_which_none_can_be_opened_are_refused(runs: Path) -> None:
    for name in ("older", "toy"):
        shutil.rmtree(runs / name)
    outcome = run_searchlab("dashboard", "--runs-dir", runs, "--port", 0)
    assert_refused(outcome, "contains no run that can be opened", "Left out: broken: ")


def test_pages_that_may_write_need_to_be_of_one_run(runs: Path) -> None:
    outcome = run_searchlab("dashboard", "--runs-dir", runs, "--edit")
    assert_refused(outcome, "--edit", "needs a run")


def test_an_unknown_run_names_the_nearest(runs: Path) -> None:
    outcome = run_searchlab("dashboard", "oldr", "--runs-dir", runs)
    assert_refused(outcome, "oldr", "Did you mean older")


def test_no_run_at_all_says_where_it_looked(tmp_path: Path) -> None:
    assert_refused(
        run_searchlab("dashboard", "--runs-dir", tmp_path), str(tmp_path), "contains no runs"
    )


def test_a_storage_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "missing" / "x.db")
    assert_refused(run_searchlab("dashboard", "--storage", url, "--port", 0), url)
