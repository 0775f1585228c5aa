"""One driver a study and storage: files beside SQLite, leases where a storage has no locks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from lock_holding import QUICK, UNATTENDED, holding_process
from optuna.storages import BaseStorage, InMemoryStorage

from searchlab.config.validation import Slug
from searchlab.errors import InfrastructureError, InputError
from searchlab.study.locks.lease import LEASE, Lease
from searchlab.study.locks.study_lock import (
    LockTimes,
    hold_study,
    is_driven_elsewhere,
    new_driver_id,
)
from searchlab.study.storage.opening import open_storage, sqlite_url

GRPC = "grpc://storage:13000"


@pytest.fixture
def lock_file(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "letters"
    folder.mkdir(parents=True)
    return folder / ".lock"


@pytest.fixture
def storage() -> BaseStorage:
    """Stands for a storage without locks that holds the study ``letters``."""
    storage = InMemoryStorage()
    optuna.create_study(study_name="letters", storage=storage)
    return storage


def lease_of(storage: BaseStorage) -> dict[str, object]:
    study_id = storage.get_study_id_from_name("letters")
    return storage.get_study_system_attrs(study_id).get(LEASE, {})


def write_lease(storage: BaseStorage, **changes: object) -> None:
    lease = {"driver": "other", "host": "elsewhere", "pid": 1, "time": time.time(), **changes}
    study_id = storage.get_study_id_from_name("letters")
    storage.set_study_system_attr(study_id, LEASE, lease)


def find_ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def make_lease(storage: BaseStorage, driver: str = "me", times: LockTimes = UNATTENDED) -> Lease:
    return Lease(storage, "letters", driver=driver, times=times, url=GRPC)


def test_a_driver_has_a_new_name_each_run_and_it_is_a_slug() -> None:
    from pydantic import TypeAdapter

    names = {new_driver_id() for _ in range(100)}
    assert len(names) == 100
    for name in names:
        assert TypeAdapter(Slug).validate_python(name) == name
        assert f"-{os.getpid()}-" in name


def test_an_embedded_study_is_held_by_one_process(lock_file: Path) -> None:
    url = sqlite_url(lock_file.parent / "study.db")
    storage = open_storage(url)
    with holding_process(url, "letters", lock_file) as other:
        with (
            pytest.raises(InputError, match="is being run by another process") as error,
            hold_study(storage, url, "letters", lock_file=lock_file, driver="me", times=UNATTENDED),
        ):
            pass
        assert f"searchlab study status {lock_file.parent}" in str(error.value)
        other.kill()
        other.wait()
        with hold_study(storage, url, "letters", lock_file=lock_file, driver="me") as lock:
            lock.check()
            assert lock.is_alive("me")
            assert not lock.is_alive("other-1-00000000")
            with lock.deciding():
                pass
    assert {path.name for path in lock_file.parent.iterdir()} <= {
        ".lock",
        "study.db",
        "study.db-wal",
        "study.db-shm",
    }


def test_two_run_folders_cannot_drive_one_study_in_a_shared_database(
    tmp_path: Path, lock_file: Path
) -> None:
    url = sqlite_url(tmp_path / "shared.db")
    storage = open_storage(url)
    second = tmp_path / "second" / ".lock"
    second.parent.mkdir()
    with holding_process(url, "letters", lock_file) as other:
        with (
            pytest.raises(InputError, match=r"letters in .*is being run by another process"),
            hold_study(storage, url, "letters", lock_file=second, driver="me", times=UNATTENDED),
        ):
            pass
        assert is_driven_elsewhere(storage, url, "letters", lock_file=second)
        with hold_study(storage, url, "digits", lock_file=second, driver="me"):
            pass
        other.kill()
        other.wait()
        assert not is_driven_elsewhere(storage, url, "letters", lock_file=second)
        with hold_study(storage, url, "letters", lock_file=second, driver="me"):
            pass


def test_the_database_of_another_run_folder_is_held_by_its_own_lock(
    tmp_path: Path, lock_file: Path
) -> None:
    url = sqlite_url(lock_file.parent / "study.db")
    storage = open_storage(url)
    copy = tmp_path / "copy" / ".lock"
    copy.parent.mkdir()
    with (
        holding_process(url, "letters", lock_file),
        pytest.raises(InputError, match="is being run by another process"),
        hold_study(storage, url, "letters", lock_file=copy, driver="me", times=UNATTENDED),
    ):
        pass


def test_a_place_that_cannot_hold_a_lock_is_bad_input(tmp_path: Path) -> None:
    missing = tmp_path / "file" / ".lock"
    missing.parent.touch()
    url = sqlite_url(tmp_path / "study.db")
    with (
        pytest.raises(InputError, match="cannot be locked"),
        hold_study(InMemoryStorage(), url, "letters", lock_file=missing, driver="me"),
    ):
        pass


@pytest.mark.parametrize(
    "url", ["sqlite:///shared.db", GRPC, "mysql+pymysql://me:geheim@host/name"]
)
def test_joining_needs_postgresql(url: str, lock_file: Path) -> None:
    with (
        pytest.raises(InputError, match="--join needs PostgreSQL") as error,
        hold_study(
            InMemoryStorage(), url, "letters", lock_file=lock_file, driver="me", shared=True
        ),
    ):
        pass
    assert "geheim" not in str(error.value)


def test_a_lease_is_renewed_while_it_is_held_and_given_back_at_the_end(
    storage: BaseStorage, lock_file: Path
) -> None:
    held = hold_study(storage, GRPC, "letters", lock_file=lock_file, driver="me", times=QUICK)
    with held as lock:
        first = lease_of(storage)
        assert first["driver"] == "me"
        assert first["pid"] == os.getpid()
        assert is_driven_elsewhere(storage, GRPC, "letters", lock_file=lock_file)
        wait_until(lambda: lease_of(storage)["time"] != first["time"])
        lock.check()
        assert lock.is_alive("me")
        assert not lock.is_alive("other")
    assert lease_of(storage) == {}
    assert not is_driven_elsewhere(storage, GRPC, "letters", lock_file=lock_file)


@pytest.mark.parametrize("this_host", [False, True])
def test_a_fresh_lease_refuses_another_driver(
    storage: BaseStorage, lock_file: Path, this_host: bool
) -> None:
    if this_host:
        write_lease(storage, host=socket.gethostname(), pid=os.getpid())
    else:
        write_lease(storage)
    with (
        pytest.raises(InputError, match=r"is being run by another process \(other\)"),
        hold_study(storage, GRPC, "letters", lock_file=lock_file, driver="me"),
    ):
        pass
    assert lease_of(storage)["driver"] == "other"


def test_a_lease_is_taken_over_when_it_is_stale_or_its_process_is_gone(
    storage: BaseStorage,
) -> None:
    for changes in (
        {"time": time.time() - 36},
        {"host": socket.gethostname(), "pid": find_ended_pid()},
    ):
        write_lease(storage, **changes)
        lease = make_lease(storage)
        lease.claim()
        lease.check()
        assert lease_of(storage)["driver"] == "me"


def test_a_driver_that_was_taken_over_says_so_and_leaves_the_lease_alone(
    storage: BaseStorage,
) -> None:
    lease = make_lease(storage)
    lease.claim()
    write_lease(storage)
    lease.tend()
    with pytest.raises(InfrastructureError, match="taken over by the driver other"):
        lease.check()
    lease.end()
    assert lease_of(storage)["driver"] == "other"


def test_of_two_drivers_that_begin_at_once_one_has_the_lease(storage: BaseStorage) -> None:
    start = threading.Barrier(2)
    refused: list[str] = []

    def begin(driver: str) -> None:
        start.wait()
        try:
            make_lease(storage, driver).claim()
        except InputError:
            refused.append(driver)

    # Both are this process, so only the reading back tells them apart.
    threads = [threading.Thread(target=begin, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert lease_of(storage)["driver"] not in refused


def test_the_lease_on_a_study_that_is_made_later_begins_then() -> None:
    storage = InMemoryStorage()
    lease = make_lease(storage)
    lease.claim()
    lease.tend()
    optuna.create_study(study_name="letters", storage=storage)
    write_lease(storage, time=time.time() - 3600)  # came with a copy of the study
    lease.tend()
    lease.check()
    assert lease_of(storage)["driver"] == "me"
    lease.end()
    assert lease_of(storage) == {}


def test_an_outage_of_the_storage_does_not_end_the_lease(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch, lock_file: Path
) -> None:
    with hold_study(
        storage, GRPC, "letters", lock_file=lock_file, driver="me", times=QUICK
    ) as lock:
        failures = []

        def fail(name: str) -> int:
            failures.append(name)
            raise InfrastructureError("the storage is away")

        with monkeypatch.context() as outage:
            outage.setattr(storage, "get_study_id_from_name", fail)
            wait_until(lambda: len(failures) >= 2)
        before = lease_of(storage)["time"]
        wait_until(lambda: lease_of(storage)["time"] != before)
        lock.check()


def wait_until(condition: object, seconds: float = 60.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
