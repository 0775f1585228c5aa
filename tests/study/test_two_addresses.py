"""One driver a study, also where drivers reach its database by different addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import optuna
import pytest
from flaky_storages import make_outage
from lock_holding import QUICK, UNATTENDED, holding_process
from optuna.storages import BaseStorage, InMemoryStorage

from searchlab.errors import InfrastructureError, InputError
from searchlab.study.locks.drivers import LockTimes, SoleDriver, StudyLock
from searchlab.study.locks.lease import LEASE, Lease
from searchlab.study.locks.study_lock import hold_study, is_driven_elsewhere
from searchlab.study.storage import retry_policy
from searchlab.study.storage.opening import open_storage, sqlite_url
from searchlab.study.storage.retrying_storage import RetryingStorage
from searchlab.study.storage.server import start_server
from searchlab.study.storage.urls import find_sqlite_file, normalise

NAME = "letters"
GRPC = "grpc://storage:13000"  # stands for a proxy before whatever storage it is given with


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of a shared SQLite database that holds the study."""
    url = sqlite_url(tmp_path / "all.db")
    optuna.create_study(study_name=NAME, storage=open_storage(url))
    return url


@pytest.fixture
def hold(tmp_path: Path) -> Callable[..., AbstractContextManager[StudyLock]]:
    """Hold the study as a driver with a run folder of its own."""

    def hold(
        storage: BaseStorage, url: str, driver: str, *, times: LockTimes = QUICK, **more: Any
    ) -> AbstractContextManager[StudyLock]:
        folder = tmp_path / driver
        folder.mkdir(exist_ok=True)
        return hold_study(
            storage, url, NAME, lock_file=folder / ".lock", driver=driver, times=times, **more
        )

    return hold


def lease_of(storage: BaseStorage) -> dict[str, Any]:
    study_id = storage.get_study_id_from_name(NAME)
    lease: dict[str, Any] = storage.get_study_system_attrs(study_id).get(LEASE, {})
    return lease


def write_lease(storage: BaseStorage, **changes: object) -> None:
    lease = {"driver": "other", "host": "elsewhere", "pid": 1, "time": time.time(), **changes}
    storage.set_study_system_attr(storage.get_study_id_from_name(NAME), LEASE, lease)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture
def proxy(database: str) -> Iterator[str]:
    """The URL of a real proxy in front of the database."""
    pytest.importorskip("grpc")
    server = start_server(open_storage(database), host="127.0.0.1", port=0)
    yield f"grpc://127.0.0.1:{server.port}"
    server.stop()


@pytest.mark.parametrize("is_proxy_first", [False, True])
def test_a_driver_behind_a_proxy_and_one_on_the_database_exclude_each_other(
    database: str, proxy: str, hold: Any, tmp_path: Path, is_proxy_first: bool
) -> None:
    urls = [proxy, database] if is_proxy_first else [database, proxy]
    first, second = (open_storage(url) for url in urls)
    elsewhere = tmp_path / "status" / ".lock"
    with hold(first, urls[0], "first") as lock:
        for storage, url in zip((first, second), urls, strict=True):
            assert is_driven_elsewhere(storage, url, NAME, lock_file=elsewhere)
        with (
            pytest.raises(InputError, match=r"is being run by another process \(first\)"),
            hold(second, urls[1], "second"),
        ):
            pass
        lock.check()
    for storage, url in zip((first, second), urls, strict=True):
        assert not is_driven_elsewhere(storage, url, NAME, lock_file=elsewhere)
    with hold(second, urls[1], "second") as lock:
        lock.check()
    first.close()
    second.close()


def test_a_study_that_is_made_while_it_is_held_has_a_lease_soon(tmp_path: Path, hold: Any) -> None:
    url = sqlite_url(tmp_path / "all.db")
    storage = open_storage(url)
    patient = LockTimes(refresh=3600.0)
    with hold(storage, url, "me", times=patient):
        optuna.create_study(study_name=NAME, storage=storage)
        wait_until(lambda: lease_of(storage).get("driver") == "me")
        with (
            pytest.raises(InputError, match="is being run by another process"),
            hold(storage, GRPC, "second"),
        ):
            pass


def test_the_lease_of_a_dead_direct_driver_is_respected_by_proxies_alone(
    database: str, hold: Any, tmp_path: Path
) -> None:
    storage = open_storage(database)
    write_lease(storage, direct=True)  # of another host, so nobody knows that its process is gone
    elsewhere = tmp_path / "status" / ".lock"
    assert is_driven_elsewhere(storage, GRPC, NAME, lock_file=elsewhere)
    assert not is_driven_elsewhere(storage, database, NAME, lock_file=elsewhere)
    with (
        pytest.raises(InputError, match=r"is being run by another process \(other\)"),
        hold(storage, GRPC, "second"),
    ):
        pass
    with hold(storage, database, "me") as lock:
        lock.check()
        assert lease_of(storage)["driver"] == "me"


def test_a_killed_direct_driver_is_followed_at_once(
    database: str, hold: Any, tmp_path: Path
) -> None:
    storage = open_storage(database)
    with holding_process(database, NAME, tmp_path / "killed" / ".lock") as other:
        assert lease_of(storage)["driver"] == "other-1-00000000"
        other.kill()
        other.wait()
    left = lease_of(storage)
    for url in (database, GRPC):
        write_lease(storage, **left)
        with hold(storage, url, "me") as lock:
            lock.check()


def test_a_direct_driver_that_a_proxys_took_over_says_so(database: str, hold: Any) -> None:
    storage = open_storage(database)
    with hold(storage, database, "me", times=UNATTENDED) as lock:
        assert isinstance(lock, Lease)
        write_lease(storage, direct=True)
        lock.tend()
        lock.check()  # another direct driver's word is nothing against the file's lock
        write_lease(storage)  # as after this process was stopped for a while
        lock.tend()
        with pytest.raises(InfrastructureError, match="taken over by the driver other"):
            lock.check()
    assert lease_of(storage)["driver"] == "other"


def test_a_database_that_is_deleted_while_it_is_held_does_not_come_back(
    tmp_path: Path, hold: Any, database: str
) -> None:
    file = tmp_path / "all.db"
    with hold(open_storage(database), database, "me") as lock:
        file.unlink()
        lock.tend()
    assert not file.exists()


def test_a_full_disk_does_not_keep_a_study_from_being_held(
    database: str, hold: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise InfrastructureError("the disk is full")

    storage = open_storage(database)
    monkeypatch.setattr(storage, "set_study_system_attr", fail)
    with hold(storage, database, "me", times=UNATTENDED) as lock:
        lock.check()
    assert "no lease could be written: the disk is full" in caplog.text


def test_an_outage_is_not_waited_for_once_more_to_give_the_lease_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    inner = InMemoryStorage()
    optuna.create_study(study_name=NAME, storage=inner)
    storage = RetryingStorage(inner)
    lease = Lease(storage, NAME, driver="me", times=UNATTENDED, url=GRPC)
    lease.claim()

    def fail(name: str) -> int:
        raise make_outage(text="the server is away")

    def wait(self: object, seconds: float) -> None:
        raise AssertionError("it was waited for")

    monkeypatch.setattr(inner, "get_study_id_from_name", fail)
    monkeypatch.setattr(retry_policy.RetryPolicy, "_sleep", wait)
    with pytest.raises(AssertionError):
        storage.get_study_id_from_name(NAME)
    lease.end()
    assert "the lease could not be given back: the server is away" in caplog.text


@pytest.mark.parametrize("scheme", ["sqlite+pysqlite", "sqlite+pysqlcipher"])
def test_sqlite_is_held_by_whichever_driver_its_url_names(
    scheme: str, database: str, hold: Any, tmp_path: Path
) -> None:
    storage = open_storage(database)
    other = database.replace("sqlite", scheme, 1)
    for one, two in ((database, other), (other, database)):
        with hold(storage, one, "first"):
            with (
                pytest.raises(InputError, match=r"letters in .* is being run by another process"),
                hold(storage, two, "second"),
            ):
                pass
            elsewhere = tmp_path / "status" / ".lock"
            assert is_driven_elsewhere(storage, two, NAME, lock_file=elsewhere)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///x.db", "x.db"),
        ("sqlite+pysqlite:////tmp/x.db?timeout=5", "/tmp/x.db"),
        ("sqlite+pysqlcipher://:geheim@/x.db", "x.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite+pysqlite:///:memory:", None),
        ("postgresql://me@host/x.db", None),
        ("sqlite:////data/what?/study.db", "/data/what?/study.db"),
    ],
)
def test_the_file_of_an_sqlite_url(url: str, file: str | None) -> None:
    assert find_sqlite_file(url) == (None if file is None else Path(file))


def test_the_plain_spelling_of_an_sqlite_url() -> None:
    assert normalise("sqlite+pysqlite:///x.db?a=b") == normalise("sqlite:///x.db?a=b")


def test_a_study_in_memory_has_no_lease(hold: Any) -> None:
    storage = open_storage("sqlite://")
    optuna.create_study(study_name=NAME, storage=storage)
    with hold(storage, "sqlite://", "me") as lock:
        assert type(lock) is SoleDriver
    assert lease_of(storage) == {}


@pytest.mark.postgres
@pytest.mark.parametrize("ends_first", [0, 1])
def test_joined_drivers_keep_proxies_out_until_the_last_has_ended(
    postgres_url: str, hold: Any, ends_first: int, tmp_path: Path
) -> None:
    storage = open_storage(postgres_url)
    optuna.create_study(study_name=NAME, storage=storage)
    elsewhere = tmp_path / "status" / ".lock"

    def check_held(lock: StudyLock) -> None:
        lock.check()
        assert lease_of(storage)["driver"] in ("one", "two")
        assert is_driven_elsewhere(storage, GRPC, NAME, lock_file=elsewhere)
        with (
            pytest.raises(InputError, match="is being run by another process"),
            hold(storage, GRPC, "third"),
        ):
            pass

    joined = [
        hold(open_storage(postgres_url), postgres_url, one, shared=True) for one in ("one", "two")
    ]
    locks = [one.__enter__() for one in joined]
    for _ in range(3):
        before = lease_of(storage)
        wait_until(lambda: lease_of(storage) != before)  # noqa: B023
        for lock in locks:
            check_held(lock)
    joined.pop(ends_first).__exit__(None, None, None)
    check_held(locks[1 - ends_first])
    joined.pop().__exit__(None, None, None)
    assert lease_of(storage) == {}
    with hold(storage, GRPC, "third"):
        assert is_driven_elsewhere(storage, postgres_url, NAME, lock_file=elsewhere)
        for shared in (False, True):
            with (
                pytest.raises(InputError, match=r"is being run by another process \(third\)"),
                hold(storage, postgres_url, "four", shared=shared),
            ):
                pass


@pytest.mark.postgres
def test_a_driver_on_postgresql_that_a_proxys_took_over_says_so(
    postgres_url: str, hold: Any
) -> None:
    storage = open_storage(postgres_url)
    optuna.create_study(study_name=NAME, storage=storage)
    with hold(storage, postgres_url, "me") as lock:
        lock.check()
        write_lease(storage)

        def is_lost() -> bool:
            try:
                lock.check()
            except InfrastructureError as error:
                return "taken over by the driver other" in str(error)
            return False

        wait_until(is_lost)
    assert lease_of(storage)["driver"] == "other"
