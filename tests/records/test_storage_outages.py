"""Real outages: servers that restart under a study, full disks, databases that lock."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from ledger_driving import make_spec, open_ledger, open_study, run_to_end
from ledger_driving import train as train_trial
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from searchlab.config.trial import TrialConfig
from searchlab.errors import InfrastructureError
from searchlab.records.storage import opening as storage_module
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.study.ledger import Ledger

if TYPE_CHECKING:
    from postgres_servers import PostgresServer

_NUM_RESTARTS = 3


def _drive_through_restarts(storage: BaseStorage, restart: Callable[[], None]) -> Any:
    """Run a whole study, the server restarting beside it; return the study."""
    spec = make_spec(search={"trials": 12, "sampler": "random"})
    study = open_study(spec, storage)
    restarts: list[threading.Thread] = []

    def train(ledger: Ledger, config: TrialConfig) -> None:
        if config.number % 4 == 1 and len(restarts) < _NUM_RESTARTS:
            restarts.append(threading.Thread(target=restart))
            restarts[-1].start()
        train_trial(ledger, config)
        if config.number % 4 == 3 and restarts:
            restarts[-1].join()

    run_to_end(open_ledger(spec, study), train)
    for thread in restarts:
        thread.join()
    assert len(restarts) == _NUM_RESTARTS
    return study


def _check_whole(study: optuna.Study, storage: BaseStorage) -> None:
    """Every trial ended, under a number of its own, created once."""
    trials = storage.get_all_trials(storage.get_study_id_from_name(study.study_name))
    undisturbed = make_spec(search={"trials": 12, "sampler": "random"})
    expected = open_study(undisturbed)
    run_to_end(open_ledger(undisturbed, expected))
    assert [trial.number for trial in trials] == list(range(len(expected.trials)))
    assert [trial.state for trial in trials] == [trial.state for trial in expected.trials]
    assert [trial.values for trial in trials] == [trial.values for trial in expected.trials]
    assert [trial.intermediate_values for trial in trials] == [
        trial.intermediate_values for trial in expected.trials
    ]
    assert all(trial.state == TrialState.COMPLETE for trial in trials)


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgresql_restarted_in_mid_study(
    postgres: PostgresServer, postgres_url: str, mode: Any
) -> None:
    storage = open_storage(postgres_url)
    study = _drive_through_restarts(storage, lambda: postgres.restart(mode))
    _check_whole(study, open_storage(postgres_url))


@pytest.mark.postgres
def test_an_outage_that_lasts_too_long_leaves_a_study_to_resume(
    postgres: PostgresServer, postgres_url: str
) -> None:
    study = optuna.create_study(
        storage=open_storage(postgres_url, retry_seconds=0.5), study_name="x"
    )
    study.tell(study.ask(), 1.0)
    trial = study.ask()
    postgres.stop()
    try:
        with pytest.raises(InfrastructureError, match="was unreachable"):
            study.tell(trial, 2.0)
        with pytest.raises(InfrastructureError, match="was unreachable"):
            study.ask()
    finally:
        postgres.start()
    resumed = optuna.load_study(study_name="x", storage=open_storage(postgres_url))
    assert [one.state.name for one in resumed.trials] == ["COMPLETE", "RUNNING"]
    resumed.tell(1, 2.0)
    assert [one.value for one in resumed.trials] == [1.0, 2.0]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        ("ALTER DATABASE {name} SET default_transaction_read_only = on", "read-only"),
        ("DROP DATABASE {name} WITH (FORCE)", "does not exist"),
    ],
)
def test_postgresql_that_no_retry_can_fix_ends_at_once(
    postgres: PostgresServer, damage: str, cause: str
) -> None:
    url = postgres.make_database("damaged")
    try:
        study = optuna.create_study(storage=open_storage(url))
        postgres.execute(damage.format(name="damaged"))
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'damaged'"
        )
        with pytest.raises(InfrastructureError, match=f"cannot be used: .*{cause}"):
            study.ask()
    finally:
        postgres.execute("DROP DATABASE IF EXISTS damaged WITH (FORCE)")


@pytest.mark.postgres
def test_missing_tables_and_a_changed_password_end_at_once(
    postgres: PostgresServer, postgres_url: str
) -> None:
    study = optuna.create_study(storage=open_storage(postgres_url))
    database = postgres_url.partition("?")[0].rpartition("/")[2]
    postgres.execute("DROP TABLE trials CASCADE", database)
    with pytest.raises(InfrastructureError, match='relation "trials" does not exist'):
        study.ask()
    postgres.execute("CREATE USER guest SUPERUSER PASSWORD 'geheim'")
    try:
        url = f"postgresql://guest:geheim@127.0.0.1:{postgres.port}/{database}"
        storage = open_storage(url)
        postgres.execute("ALTER USER guest PASSWORD 'other'")
        storage.close()
        with pytest.raises(InfrastructureError, match="authentication failed") as error:
            storage.get_all_studies()
        assert "geheim" not in str(error.value)
    finally:
        postgres.execute("DROP OWNED BY guest", database)
        postgres.execute("DROP USER guest")


def test_calls_to_a_locked_sqlite_are_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "_BUSY_TIMEOUT_SECONDS", 0.02)
    path = tmp_path / "study.db"
    study = optuna.create_study(storage=open_storage(sqlite_url(path)))
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    study.tell(study.ask(), 1.0)
    assert [trial.value for trial in study.trials] == [1.0]
    other.close()


def _fill(study: optuna.Study) -> None:
    for _ in range(1000):
        study.ask().set_user_attr("filler", "x" * 1000)


@pytest.mark.parametrize("pragma", ["max_page_count = 1", "query_only = 1"])
def test_full_or_read_only_sqlite_ends_at_once(tmp_path: Path, pragma: str) -> None:
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    study = optuna.create_study(storage=storage, study_name="x")
    study.tell(study.ask(), 1.0)
    # Bound to this connection, which the storage keeps: a new one would be sound again.
    with storage.database.engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    with pytest.raises(InfrastructureError, match=r"cannot be used: .*(full|readonly)"):
        _fill(study)
    resumed = optuna.load_study(
        study_name="x", storage=open_storage(sqlite_url(tmp_path / "study.db"))
    )
    assert resumed.trials[0].value == 1.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_ends_at_once_and_the_study_goes_on_when_there_is_room(small_disk: Path) -> None:
    url = sqlite_url(small_disk / "study.db")
    study = optuna.create_study(storage=open_storage(url), study_name="x")
    study.tell(study.ask(), 1.0)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(400_000))
    with pytest.raises(InfrastructureError, match=r"cannot be used: .*(full|I/O)"):
        _fill(study)
    ballast.unlink()
    resumed = optuna.load_study(study_name="x", storage=open_storage(url))
    assert resumed.trials[0].value == 1.0
    assert [trial.number for trial in resumed.trials] == list(range(len(resumed.trials)))
    resumed.tell(resumed.ask(), 2.0)
