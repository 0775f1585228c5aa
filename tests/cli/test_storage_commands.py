"""``searchlab storage copy | serve``."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pytest
from toy_runs import invoke, make_toy

from searchlab.errors import InputError, SearchlabError
from searchlab.study.run_folder import RunFolder
from searchlab.study.storage.opening import open_storage, sqlite_url
from searchlab.study.transfer.copying import COPYING

if TYPE_CHECKING:
    from postgres_servers import PostgresServer


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("SEARCHLAB_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("SEARCHLAB_STORAGE", raising=False)
    return make_toy(tmp_path / "runs")


def count_trials(url: str) -> int:
    return len(optuna.load_study(study_name="toy", storage=open_storage(url)).trials)


@pytest.mark.parametrize("kind", ["name", "folder", "file", "url"])
def test_copy_takes_runs_files_and_urls(kind: str, run: RunFolder, tmp_path: Path) -> None:
    source = {
        "name": "toy",
        "folder": run.path,
        "file": run.database,
        "url": sqlite_url(run.database),
    }[kind]
    result = invoke("storage", "copy", source, tmp_path / "copy.db")
    assert "copied toy: 3 trials (2 COMPLETE, 1 RUNNING)" in result.stdout
    assert ("study resume" in result.stdout) == (kind in ("name", "folder"))
    assert count_trials(sqlite_url(tmp_path / "copy.db")) == 3


def test_copy_takes_all_studies_or_one(run: RunFolder, tmp_path: Path) -> None:
    other = open_storage(sqlite_url(run.database))
    optuna.create_study(storage=other, study_name="second")
    result = invoke("storage", "copy", run.database, tmp_path / "a.db", "--json")
    assert json.loads(result.stdout) == {
        "to": sqlite_url(tmp_path / "a.db"),
        "studies": [
            {"study": "toy", "trials": 3, "states": {"COMPLETE": 2, "RUNNING": 1}},
            {"study": "second", "trials": 0, "states": {}},
        ],
    }
    invoke("storage", "copy", run.database, tmp_path / "b.db", "--study", "second")
    assert optuna.get_all_study_names(sqlite_url(tmp_path / "b.db")) == ["second"]


def test_copy_refuses_a_study_in_the_way_before_it_copies_any(
    run: RunFolder, tmp_path: Path
) -> None:
    source = open_storage(sqlite_url(run.database))
    optuna.create_study(storage=source, study_name="second").set_user_attr("a", 1)
    invoke("storage", "copy", run.database, tmp_path / "a.db", "--study", "second")
    refused = invoke("storage", "copy", run.database, tmp_path / "a.db", fails=True)
    assert refused.exit_code == 2
    assert "study named second already" in str(refused.exception)
    assert optuna.get_all_study_names(sqlite_url(tmp_path / "a.db")) == ["second"]


def test_copy_begins_a_half_one_again(run: RunFolder, tmp_path: Path) -> None:
    goal = open_storage(sqlite_url(tmp_path / "a.db"))
    study = optuna.create_study(storage=goal, study_name="toy")
    goal.set_study_system_attr(study._study_id, COPYING, "cut off")
    study.ask()
    invoke("storage", "copy", "toy", tmp_path / "a.db")
    assert count_trials(sqlite_url(tmp_path / "a.db")) == 3


def test_copy_from_nothing_makes_nothing(run: RunFolder, tmp_path: Path) -> None:
    for source in (tmp_path / "none.db", "toyy"):
        refused = invoke("storage", "copy", source, tmp_path / "a.db", fails=True)
        assert refused.exit_code == 2
    refused = invoke("storage", "copy", "toy", tmp_path / "a.db", "--study", "x", fails=True)
    assert "holds no study named x" in str(refused.exception)
    assert not (tmp_path / "none.db").exists()


# Storages whose password is not kept

_NOTED = "postgresql+psycopg://me:***@host/db"
_GIVEN = "postgresql+psycopg://me:Geheim@host/db"


@pytest.mark.parametrize("given", ["", "postgresql://you:Geheim@host/db", "sqlite:///a.db"])
@pytest.mark.parametrize("command", ["copy", "serve"])
def test_missing_password_is_asked_for_where_it_is_taken(
    command: str, given: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.note_storage(_GIVEN)
    monkeypatch.setenv("SEARCHLAB_STORAGE", given)
    more = [tmp_path / "a.db"] if command == "copy" else ["--port", 0]
    refused = invoke("storage", command, "toy", *more, fails=True)
    assert refused.exit_code == 2
    message = str(refused.exception)
    assert _NOTED in message
    assert "--storage" not in message, "neither command has it"
    assert "Set SEARCHLAB_STORAGE to that URL with its password" in message
    assert "Geheim" not in message


@pytest.mark.parametrize("given", [_GIVEN, "postgresql://me:Geheim@host/db"])
@pytest.mark.parametrize("command", ["copy", "serve"])
def test_password_is_taken_from_the_environment(
    command: str, given: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.note_storage(_GIVEN)
    monkeypatch.setenv("SEARCHLAB_STORAGE", given)
    opened: list[str] = []

    def refuse(url: str) -> None:
        opened.append(url)
        raise InputError("cannot be reached")

    monkeypatch.setattr("searchlab.study.storage.opening.open_storage", refuse)
    more = [tmp_path / "a.db"] if command == "copy" else ["--port", 0]
    invoke("storage", command, "toy", *more, fails=True)
    assert opened == [given]


@pytest.mark.postgres
def test_run_is_copied_from_a_database_with_a_password(
    run: RunFolder, tmp_path: Path, postgres_url: str, postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    invoke("storage", "copy", "toy", postgres_url)
    name = postgres_url.partition("@/")[2].partition("?")[0]
    url = postgres.database_url(name, tcp=True)
    run.note_storage(url)
    monkeypatch.setenv("SEARCHLAB_STORAGE", url)
    invoke("storage", "copy", "toy", tmp_path / "a.db")
    assert count_trials(sqlite_url(tmp_path / "a.db")) == 3


# Serving

_SERVE = "from toy_runs import make_app; make_app()(prog_name='searchlab')"
# Every call meets a storage that is away.
_SERVE_AWAY = """
import sys
sys.path.insert(0, "../study")
from flaky_storages import Faults, make_flaky_storage
from searchlab.study.storage import opening
from searchlab.study.storage.retrying_storage import RetryingStorage
away = make_flaky_storage(Faults(always=True))
opening.open_storage = lambda url: RetryingStorage(away, url=url)
"""


@contextmanager
def serving(*arguments: object, before: str = "") -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", before + _SERVE, "storage", "serve", *map(str, arguments)],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip().removeprefix("storage: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_served_storage_is_used_and_ends_cleanly(
    number: signal.Signals, run: RunFolder, tmp_path: Path
) -> None:
    with serving("toy", "--port", 0) as process:
        url = read_url(process)
        assert url.startswith("grpc://127.0.0.1:")
        invoke("storage", "copy", url, tmp_path / "a.db")
        assert count_trials(sqlite_url(tmp_path / "a.db")) == 3
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert out == ""
    assert "Traceback" not in err
    assert "warning" not in err
    assert f"backed by: {sqlite_url(run.database)}" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_server_whose_database_is_away_ends_without_waiting_for_it(
    number: signal.Signals, run: RunFolder
) -> None:
    with serving("toy", "--port", 0, before=_SERVE_AWAY) as process:
        asking = threading.Thread(target=_ask, args=(read_url(process),), daemon=True)
        asking.start()
        assert process.stderr is not None
        while "is away, waiting 120 s" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        process.communicate(timeout=60)  # half of what the call would wait
        assert process.returncode == 0
    asking.join()


def _ask(url: str) -> None:
    with pytest.raises(SearchlabError):
        open_storage(url)  # looks whether the server answers


def test_serving_beyond_this_machine_warns(run: RunFolder) -> None:
    with serving(run.database, "--port", 0, "--host", "0.0.0.0") as process:
        assert read_url(process).startswith("grpc://0.0.0.0:")
        process.terminate()
        assert "neither encryption nor passwords" in process.communicate(timeout=60)[1]


def test_taken_port_is_refused(run: RunFolder) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = invoke("storage", "serve", "toy", "--port", port, fails=True)
    assert refused.exit_code == 2
    assert f"got '127.0.0.1:{port}'" in str(refused.exception)


def test_port_of_another_server_is_refused(run: RunFolder) -> None:
    with serving("toy", "--port", 0) as process:
        port = read_url(process).rpartition(":")[2]
        refused = invoke("storage", "serve", "toy", "--port", port, fails=True)
        assert refused.exit_code == 2


def test_serving_needs_a_storage_and_grpcio(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "SEARCHLAB_STORAGE" in str(invoke("storage", "serve", fails=True).exception)
    refused = invoke("storage", "serve", "grpc://127.0.0.1:1", fails=True)
    assert "is a gRPC proxy already" in str(refused.exception)
    find_spec = "searchlab.study.storage.server.importlib.util.find_spec"
    monkeypatch.setattr(find_spec, lambda name: None)
    refused = invoke("storage", "serve", "toy", fails=True)
    assert "pip install 'searchlab[grpc]'" in str(refused.exception)
    assert refused.exit_code == 2
