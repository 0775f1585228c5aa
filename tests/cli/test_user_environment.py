"""A user that the system does not know, as in a container, has a name and a home folder."""

from __future__ import annotations

import getpass
import os
import pwd
import tempfile
from pathlib import Path

import pytest

from searchlab.cli.user_environment import name_the_nameless
from searchlab.data import resolve_data_dir

NAMES = ("HOME", "USER", "LOGNAME", "USERNAME", "LNAME", "XDG_CACHE_HOME", "SEARCHLAB_DATA")


@pytest.fixture(autouse=True)
def _nameless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown(uid: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in NAMES:
        monkeypatch.setenv(name, "")  # restored at the end, whatever the function sets
        monkeypatch.delenv(name)


def test_a_nameless_user_gets_a_private_home_and_a_name() -> None:
    name_the_nameless()
    home = Path(os.environ["HOME"])
    assert home.stat().st_mode & 0o777 == 0o700
    assert getpass.getuser() == f"user-{os.getuid()}"
    assert Path("~/x").expanduser() == home / "x"
    assert resolve_data_dir(None).is_relative_to(home)
    name_the_nameless()
    assert Path(os.environ["HOME"]) == home


@pytest.mark.parametrize("home", ["/nonexistent", "relative"])
def test_a_home_that_cannot_be_used_is_replaced(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    name_the_nameless()
    assert Path(os.environ["HOME"]).is_dir()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_home_that_somebody_else_has_put_there_is_not_used(kind: str, tmp_path: Path) -> None:
    taken = tmp_path / f"searchlab-user-{os.getuid()}"
    (tmp_path / "trap").mkdir()
    if kind == "file":
        taken.touch()
    else:
        taken.symlink_to(tmp_path / "trap")
    name_the_nameless()
    home = Path(os.environ["HOME"])
    assert home.resolve() not in (taken, tmp_path / "trap")
    assert home.stat().st_mode & 0o777 == 0o700


def test_what_is_given_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "ann")
    name_the_nameless()
    assert (os.environ["HOME"], os.environ["USER"]) == (str(tmp_path), "ann")
