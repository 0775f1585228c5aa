"""One driver a study on PostgreSQL, or several that joined, through kills and restarts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import optuna
import pytest
import sqlalchemy
from lock_holding import QUICK, UNATTENDED, holding_process

from searchlab.errors import InfrastructureError, InputError
from searchlab.records.locks.advisory_lock import AdvisoryLock
from searchlab.records.locks.advisory_session import AdvisorySession, lock_key, make_engine
from searchlab.records.locks.drivers import LockTimes, StudyLock
from searchlab.records.locks.study_lock import hold_study, is_driven
from searchlab.records.storage.opening import open_storage

if TYPE_CHECKING:
    from postgres_servers import PostgresServer

    from searchlab.records.storage.idempotent_storage import IdempotentStorage

pytestmark = pytest.mark.postgres

NAME = "letters"
OTHER = "other-1-00000000"

_COUNT = """
import sys
from pathlib import Path
from searchlab.records.locks.study_lock import hold_study
from searchlab.records.storage.opening import open_storage

url, folder, driver, rounds = sys.argv[1:]
storage = open_storage(url)
counter = Path(folder, "counter")
lock_file = Path(folder, driver, ".lock")
with hold_study(storage, url, "letters", lock_file=lock_file, driver=driver, shared=True) as lock:
    for _ in range(int(rounds)):
        with lock.deciding():
            number = int(counter.read_text())
            counter.write_text(str(number + 1))
"""


@contextmanager
def held(
    url: str,
    *,
    driver: str = "me",
    shared: bool = False,
    times: LockTimes = QUICK,
    database: IdempotentStorage | None = None,
) -> Iterator[AdvisoryLock]:
    if database is None:  # without the study: the lock alone keeps the others from deciding
        database = open_storage(url if shared else "sqlite://").database
    with AdvisoryLock(
        url, NAME, driver=driver, shared=shared, times=times, database=database
    ) as lock:
        yield lock


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@contextmanager
def session_on(url: str) -> Iterator[AdvisorySession]:
    engine = make_engine(url, "test")
    session = AdvisorySession(engine)
    yield session
    session.close()
    engine.dispose()


def end_sessions(url: str, driver: str) -> None:
    """End the sessions of a driver on the server's side, as an outage would."""
    engine = sqlalchemy.create_engine(url)
    statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :a"
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(statement), {"a": f"searchlab {driver}"})
    engine.dispose()
    key = lock_key("driver", NAME, driver)
    with session_on(url) as session:
        wait_until(lambda: all(lock.key != key for lock in session.look()))


def test_a_second_driver_is_refused_until_the_first_is_killed(
    postgres_url: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine" / ".lock"
    storage = open_storage("sqlite://")
    with holding_process(postgres_url, NAME, tmp_path / "other" / ".lock") as other:
        with (
            pytest.raises(InputError, match=r"is being run by another process\. .*--join"),
            hold_study(storage, postgres_url, NAME, lock_file=mine, driver="me"),
        ):
            pass
        assert is_driven(postgres_url, NAME, lock_file=mine)
        with hold_study(storage, postgres_url, "digits", lock_file=mine, driver="me"):
            pass
        other.kill()
        with hold_study(storage, postgres_url, NAME, lock_file=mine, driver="me") as lock:
            lock.check()
            assert not lock.shared
            assert lock.is_alive("me")
            assert not lock.is_alive(OTHER)
    assert not is_driven(postgres_url, NAME, lock_file=mine)


def test_a_run_folder_is_driven_once_even_by_joined_drivers(
    postgres_url: str, tmp_path: Path
) -> None:
    lock_file = tmp_path / ".lock"
    with (
        holding_process(postgres_url, NAME, lock_file, shared=True),
        pytest.raises(InputError, match="is being run by another process"),
        hold_study(
            open_storage("sqlite://"),
            postgres_url,
            NAME,
            lock_file=lock_file,
            driver="me",
            shared=True,
        ),
    ):
        pass


def test_joined_drivers_share_a_study_and_refuse_one_that_is_not(postgres_url: str) -> None:
    with (
        held(postgres_url, shared=True),
        held(postgres_url, driver="second", shared=True),
        pytest.raises(InputError, match=r"by another process with --join\. Add --join"),
    ):
        held(postgres_url, driver="third").__enter__()
    with held(postgres_url, driver="third"):
        with pytest.raises(InputError, match="by another process without --join"):
            held(postgres_url, shared=True).__enter__()
        with pytest.raises(InputError, match=r"by another process\. "):
            held(postgres_url).__enter__()


@pytest.mark.slow
def test_a_killed_driver_counts_as_gone_after_the_grace_and_not_before(
    postgres_url: str, tmp_path: Path
) -> None:
    patient = LockTimes(acquire=0.5, ping=0.1, grace=3600.0)
    with (
        held(postgres_url, shared=True) as lock,
        held(postgres_url, driver="patient", shared=True, times=patient) as patient_lock,
        holding_process(postgres_url, NAME, tmp_path / ".lock", driver=OTHER, shared=True) as other,
    ):
        assert lock.is_alive(OTHER)
        connected = time.monotonic()
        wait_until(lambda: time.monotonic() - connected > 2 * QUICK.grace)
        assert lock.is_alive(OTHER)
        other.kill()
        wait_until(lambda: not lock.is_alive(OTHER))
        assert patient_lock.is_alive(OTHER)
        assert lock.is_alive("patient")
        assert patient_lock.is_alive("me")


def test_a_driver_that_joined_after_the_last_look_is_alive(postgres_url: str) -> None:
    times = LockTimes(ping=3600.0, grace=1e-6)
    with held(postgres_url, shared=True, times=times) as lock:
        lock.tend()
        assert not lock.is_alive("second")
        with held(postgres_url, driver="second", shared=True):
            assert lock.is_alive("second")
        lock.tend()
        assert not lock.is_alive("second")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_the_server_leaves_joined_drivers_their_locks_and_each_other(
    postgres: PostgresServer, postgres_url: str, mode: Literal["fast", "immediate"]
) -> None:
    times = LockTimes(acquire=0.5, ping=0.1, settle=0.5, grace=4.0)
    seen_alive: list[bool] = []

    def see() -> None:
        seen_alive.extend((one.is_alive("second"), two.is_alive("me")))

    def have_both() -> bool:
        see()
        return one._session is not None and two._session is not None

    with (
        held(postgres_url, shared=True, times=times) as one,
        held(postgres_url, driver="second", shared=True, times=times) as two,
    ):
        postgres.stop(mode)
        wait_until(lambda: one._session is None and two._session is None)
        see()
        postgres.start()
        wait_until(have_both)
        again = time.monotonic()
        wait_until(lambda: have_both() and time.monotonic() - again > 1.5 * times.grace)
        one.check()
        two.check()
        with pytest.raises(InputError, match="with --join"):
            held(postgres_url, driver="third").__enter__()
        decide(one)
        decide(two)
    assert all(seen_alive)
    with held(postgres_url, driver="third"):
        pass


def test_an_exclusive_driver_has_its_study_again_after_a_restart(
    postgres: PostgresServer, postgres_url: str
) -> None:
    with held(postgres_url) as lock:
        postgres.restart()
        key = lock_key("study", NAME)
        with session_on(postgres_url) as session:
            wait_until(lambda: any(one.key == key for one in session.look()))
        lock.check()
        with pytest.raises(InputError, match="is being run by another process"):
            held(postgres_url, driver="second").__enter__()


def test_a_driver_whose_study_was_taken_in_an_outage_says_so_from_then_on(
    postgres_url: str,
) -> None:
    with held(postgres_url, times=UNATTENDED) as lock:
        lock.check()
        end_sessions(postgres_url, "me")
        with held(postgres_url, driver="second") as second:
            lock.tend()  # sees the outage, and wakes the thread that sees the rest
            wait_until(lambda: lock._lost)
            for _ in range(2):
                with pytest.raises(InfrastructureError, match="taken over by another driver"):
                    lock.check()
            second.check()
        with pytest.raises(InfrastructureError, match="taken over by another driver"):
            lock.check()


def test_a_session_that_the_server_still_believes_in_is_ended_by_its_own_driver(
    postgres_url: str,
) -> None:
    with held(postgres_url, times=UNATTENDED) as lock:
        ghost, lock._session = lock._session, None  # the network broke, the server's side stays
        assert ghost is not None
        lock.tend()
        lock.check()
        assert lock._session is not None
        with pytest.raises(InputError, match="is being run by another process"):
            held(postgres_url, driver="second").__enter__()


@pytest.mark.slow
def test_one_driver_decides_at_a_time(postgres_url: str, tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    rounds = 40
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _COUNT, postgres_url, str(tmp_path), f"d{i}", str(rounds)]
        )
        for i in range(4)
    ]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0, 0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert (tmp_path / "counter").read_text() == str(4 * rounds)


def test_a_driver_that_decides_for_too_long_is_not_waited_for(postgres_url: str) -> None:
    hurried = LockTimes(acquire=0.5, ping=0.1, decide=0.2)
    with (
        held(postgres_url, shared=True) as one,
        held(postgres_url, driver="second", shared=True, times=hurried) as two,
    ):
        with one.deciding(), pytest.raises(InfrastructureError, match=r"waited .* s to decide"):
            decide(two)
        decide(two)


def decide(lock: StudyLock) -> None:
    with lock.deciding():
        pass


def test_an_error_in_a_decision_lets_the_others_decide(postgres_url: str) -> None:
    with (
        held(postgres_url, shared=True) as one,
        held(postgres_url, driver="second", shared=True) as two,
    ):
        with pytest.raises(ValueError, match="mine"), one.deciding():
            raise ValueError("mine")
        decide(two)
        decide(one)


@pytest.mark.slow
def test_a_decision_goes_on_after_a_restart_in_its_midst(
    postgres: PostgresServer, postgres_url: str
) -> None:
    hurried = LockTimes(acquire=0.5, ping=0.1, settle=0.5, decide=3.0)
    storage = open_storage(postgres_url)
    optuna.create_study(study_name=NAME, storage=storage)
    with (
        held(postgres_url, shared=True, database=storage.database) as one,
        held(postgres_url, driver="second", shared=True, times=hurried) as two,
    ):
        with one.deciding():
            before = one._session
            postgres.restart()
            wait_until(lambda: one._session not in (None, before))
            # It waits for the server, and then for the driver that was deciding.
            with pytest.raises(InfrastructureError, match=r"waited .* s to decide"):
                decide(two)
        decide(two)
        decide(one)


def test_a_study_that_two_drivers_may_have_made_is_nobodys(postgres_url: str) -> None:
    storage = open_storage(postgres_url)  # without the study, so no token can be written into it
    with (
        held(postgres_url, shared=True, times=UNATTENDED, database=storage.database) as one,
        held(postgres_url, driver="second", shared=True) as two,
    ):
        decision = one.deciding()
        decision.__enter__()
        before = one._session
        end_sessions(postgres_url, "me")
        decide(two)
        one.tend()
        wait_until(lambda: one._session not in (None, before))
        with pytest.raises(InfrastructureError, match="may have created it meanwhile"):
            decision.__exit__(None, None, None)
        decide(one)
        decide(two)


def test_without_a_server_the_study_cannot_be_locked_and_no_password_is_shown() -> None:
    url = "postgresql+psycopg://me:geheim@127.0.0.1:9/x"
    with pytest.raises(InfrastructureError, match="cannot be locked") as error:
        held(url).__enter__()
    assert "geheim" not in str(error.value)
    assert "me:***@" in str(error.value)


def test_locks_are_held_by_tcp_with_a_password_as_well(postgres: PostgresServer) -> None:
    with held(postgres.tcp_url, shared=True) as lock:
        decide(lock)
        with pytest.raises(InputError, match="with --join") as error:
            held(postgres.tcp_url, driver="second").__enter__()
    assert postgres.password not in str(error.value)
    assert "***" in str(error.value)
