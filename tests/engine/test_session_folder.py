"""The folder of a Ray started here is private, short enough for sockets, and gone at the end."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from searchlab.engine.ray import session_folder
from searchlab.engine.ray.death_causes import find_error, read_cause
from searchlab.engine.ray.session_folder import private_folder
from searchlab.errors import InputError


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)


def test_it_is_private_and_removed_with_all_that_ray_left() -> None:
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "r" / "session_1" / "logs").mkdir(parents=True, mode=0o777)
    assert not folder.exists()


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
def test_a_folder_too_long_for_sockets_is_replaced_by_a_short_one(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv(variable, str(long))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with private_folder() as folder:
        assert folder.parent != long
        socket = folder / "r/session_2026-11-29_12-00-00_123456_1234567/sockets/plasma_store"
        assert len(os.fsencode(socket)) <= 107
    assert list(long.iterdir()) == []


def test_a_short_folder_that_is_asked_for_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as short:
        monkeypatch.setenv("RAY_TMPDIR", short)
        with private_folder() as folder:
            assert str(folder.parent) == short


def test_without_a_short_folder_the_remedy_is_named_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("x" * 90)))
    monkeypatch.setattr(session_folder, "_SHORT_FOLDERS", ("/nonexistent",))
    with pytest.raises(InputError, match="RAY_TMPDIR") as refused, private_folder():
        pass
    assert "--engine serial" in str(refused.value)


def test_sessions_of_killed_drivers_are_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as short:
        monkeypatch.setenv("RAY_TMPDIR", short)
        orphan, fresh = Path(short, "searchlab-ray-old"), Path(short, "searchlab-ray-new")
        for folder in (orphan, fresh):
            (folder / "r" / "session_1").mkdir(parents=True)
        os.utime(orphan, (0, time.time() - 3600))
        with private_folder():
            assert not orphan.exists()
            assert fresh.exists(), "its driver may not have locked it yet"
        with private_folder() as living:
            os.utime(living, (0, time.time() - 3600))
            with private_folder():
                assert living.exists(), "its driver lives"


def test_the_cause_of_a_death_is_the_last_error_of_the_newest_log(tmp_path: Path) -> None:
    logs = tmp_path / "r" / "session_2026-11-29" / "logs"
    logs.mkdir(parents=True)
    (logs / "worker-1.err").write_text("Traceback:\nValueError: old\n")
    os.utime(logs / "worker-1.err", (0, 1))
    (logs / "worker-2.err").write_text('  File "numpy.py"\n    raise RuntimeError\nRuntimeError\n')
    (logs / "worker-3.err").write_text(":job_id:01000000\n")
    assert read_cause(tmp_path) == "RuntimeError"
    assert read_cause(tmp_path / "nowhere") == ""


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a\nray.exceptions.RaySystemError: System error: \nb", "ray.exceptions.RaySystemError: "
         "System error:"),
        ("ModuleNotFoundError: No module named 'x'\n", "ModuleNotFoundError: No module named 'x'"),
        ("Everything went well, no Error here", ""),
    ],
)  # fmt: skip
def test_an_error_is_found_in_a_log(text: str, error: str) -> None:
    assert find_error(text) == error
