"""One driver a study and storage: the lock of the run folder, and a file beside SQLite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lock_holding import UNATTENDED, holding_process

from searchlab.config.validation import Slug
from searchlab.errors import InfrastructureError, InputError
from searchlab.records.locks.drivers import new_driver_id
from searchlab.records.locks.study_lock import hold_study, is_driven
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.records.storage.urls import find_sqlite_file, normalise


@pytest.fixture
def lock_file(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "letters"
    folder.mkdir(parents=True)
    return folder / ".lock"


def test_a_driver_has_a_new_name_each_run_and_it_is_a_slug() -> None:
    from pydantic import TypeAdapter

    names = {new_driver_id() for _ in range(100)}
    assert len(names) == 100
    for name in names:
        assert TypeAdapter(Slug).validate_python(name) == name
        assert f"-{os.getpid()}-" in name


@pytest.mark.parametrize("is_default_folder", [True, False])
def test_the_one_who_may_not_drive_a_run_is_told_how_to_watch_it(
    is_default_folder: bool, lock_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lock_file.parent
    if is_default_folder:
        monkeypatch.setenv("SEARCHLAB_RUNS", str(run.parent))
    url = sqlite_url(run / "study.db")
    with (
        holding_process(url, "letters", lock_file),
        pytest.raises(InputError) as error,
        hold_study(
            open_storage(url), url, "letters", lock_file=lock_file, driver="me", times=UNATTENDED
        ),
    ):
        pass
    named = "letters" if is_default_folder else run
    assert str(error.value).endswith(f"Watch it with: searchlab study status {named}")


def test_an_embedded_study_is_held_by_one_process(lock_file: Path) -> None:
    url = sqlite_url(lock_file.parent / "study.db")
    storage = open_storage(url)
    with holding_process(url, "letters", lock_file) as other:
        with (
            pytest.raises(InputError, match="is being run by another process"),
            hold_study(storage, url, "letters", lock_file=lock_file, driver="me", times=UNATTENDED),
        ):
            pass
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
        assert is_driven(url, "letters", lock_file=second)
        with hold_study(storage, url, "digits", lock_file=second, driver="me"):
            pass
        other.kill()
        other.wait()
        assert not is_driven(url, "letters", lock_file=second)
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


def test_a_place_that_cannot_hold_a_lock_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    missing = tmp_path / "file" / ".lock"
    missing.parent.touch()
    url = sqlite_url(tmp_path / "study.db")
    with (
        pytest.raises(InfrastructureError, match="cannot be locked by"),
        hold_study(open_storage("sqlite://"), url, "letters", lock_file=missing, driver="me"),
    ):
        pass


@pytest.mark.parametrize("url", ["sqlite:///shared.db", "mysql+pymysql://me:geheim@host/name"])
def test_joining_needs_postgresql(url: str, lock_file: Path) -> None:
    with (
        pytest.raises(InputError, match="--join needs PostgreSQL") as error,
        hold_study(
            open_storage("sqlite://"), url, "letters", lock_file=lock_file, driver="me", shared=True
        ),
    ):
        pass
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("scheme", ["sqlite+pysqlite", "sqlite+pysqlcipher"])
def test_sqlite_is_held_by_whichever_driver_its_url_names(scheme: str, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "all.db")
    storage = open_storage(url)
    other = url.replace("sqlite", scheme, 1)
    folders = [tmp_path / name / ".lock" for name in ("first", "second")]
    for file in folders:
        file.parent.mkdir()
    for one, two in ((url, other), (other, url)):
        with hold_study(storage, one, "letters", lock_file=folders[0], driver="first"):
            with (
                pytest.raises(InputError, match=r"letters in .* is being run by another process"),
                hold_study(
                    storage, two, "letters", lock_file=folders[1], driver="me", times=UNATTENDED
                ),
            ):
                pass
            assert is_driven(two, "letters", lock_file=folders[1])
        assert not is_driven(two, "letters", lock_file=folders[1])


def test_a_database_without_locks_is_held_with_a_warning(
    lock_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = "mysql+pymysql://me:geheim@host/name"
    with hold_study(open_storage("sqlite://"), url, "letters", lock_file=lock_file, driver="me"):
        assert is_driven(url, "letters", lock_file=lock_file)
    assert not is_driven(url, "letters", lock_file=lock_file)
    assert "Only SQLite and PostgreSQL have locks" in caplog.text
    assert "geheim" not in caplog.text


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
