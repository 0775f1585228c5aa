"""Two drivers of one study on PostgreSQL, each with its own Ray: budget, kills, outages."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pytest
from optuna.trial import FrozenTrial
from small_studies import search_command, write_study

if TYPE_CHECKING:
    from postgres_servers import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(1200)]

SECONDS = 480
BUDGET = {"baseline": 2, "search": 40, "finalist": 2}


def join(folder: Path, url: str, name: str, *options: str) -> subprocess.Popen[str]:
    """Start a driver whose run folder, and Ray, are its own."""
    places = ["--runs-dir", folder / name, "--storage", url, "--join"]
    return subprocess.Popen(
        search_command("run", folder / "tiny.yaml", *places, *options),
        stdout=subprocess.DEVNULL,
        stderr=(folder / f"{name}.err").open("a"),
        text=True,
        start_new_session=True,
    )


def end(driver: subprocess.Popen[str]) -> int:
    with driver:
        try:
            return driver.wait(SECONDS)
        except subprocess.TimeoutExpired:
            driver.kill()
            raise


def read(url: str) -> list[FrozenTrial]:
    [name] = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url).trials


def await_trials(url: str, count: int, driver: subprocess.Popen[str]) -> None:
    """Wait until so many trials have ended."""
    script = (
        "import optuna, sys, time\n"
        "optuna.logging.set_verbosity(optuna.logging.ERROR)\n"
        "while True:\n"
        "    names = optuna.get_all_study_names(sys.argv[1])\n"
        "    trials = optuna.load_study(study_name=names[0], storage=sys.argv[1]).trials"
        " if names else []\n"
        "    if sum(t.state.is_finished() for t in trials) >= int(sys.argv[2]): break\n"
        "    time.sleep(0.2)\n"
    )
    subprocess.run([sys.executable, "-c", script, url, str(count)], check=True, timeout=SECONDS)
    assert driver.poll() is None, "the driver ended early"


def assert_whole(trials: list[FrozenTrial]) -> None:
    assert [trial.number for trial in trials] == list(range(sum(BUDGET.values())))
    assert Counter(trial.user_attrs["role"] for trial in trials) == BUDGET
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
    plans = [trial.user_attrs["plan"] for trial in trials if "plan" in trial.user_attrs]
    assert len(plans) == len(set(plans)), "no baseline and no finalist twice"


def drivers_of(trials: list[FrozenTrial]) -> set[str]:
    return {trial.system_attrs["searchlab:origin"].rpartition("/")[0] for trial in trials}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_study(tmp_path, search={"trials": 40}, training={"epochs": 6})
    return tmp_path


def test_two_drivers_share_a_study_to_the_trial(folder: Path, postgres_url: str) -> None:
    first, second = (join(folder, postgres_url, name) for name in ("one", "two"))
    assert (end(first), end(second)) == (0, 0), [
        (folder / f"{name}.err").read_text() for name in ("two", "one")
    ]
    trials = read(postgres_url)
    assert_whole(trials)
    assert len(drivers_of(trials)) == 2


def test_a_killed_drivers_trials_are_taken_over_and_a_restarted_server_loses_nothing(
    folder: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    first, second = (join(folder, postgres_url, name) for name in ("one", "two"))
    await_trials(postgres_url, 6, second)
    first.kill()
    end(first)
    await_trials(postgres_url, 12, second)
    postgres.restart()
    assert end(second) == 0, (folder / "two.err").read_text()
    assert_whole(read(postgres_url))


def test_a_driver_that_does_not_join_is_refused(folder: Path, postgres_url: str) -> None:
    write_study(folder, search={"trials": 6})
    first = join(folder, postgres_url, "one", "--engine", "serial")
    await_trials(postgres_url, 2, first)
    first.send_signal(signal.SIGSTOP)  # else it might be done before the other comes to ask
    options = ["--runs-dir", folder / "three", "--storage", postgres_url]
    try:
        refused = subprocess.run(
            search_command("run", folder / "tiny.yaml", *options),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    finally:
        first.send_signal(signal.SIGCONT)
    assert refused.returncode == 2, refused.stderr
    assert "--join" in refused.stderr
    assert not (folder / "three").exists()
    assert end(first) == 0
    trials = read(postgres_url)
    assert [trial.number for trial in trials] == list(range(2 + 6 + 2))
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
