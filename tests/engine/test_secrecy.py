"""A planted database password stays in the driver, and no name leads out of the runs' folder."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
import sqlalchemy
from small_studies import search_command, write_study

from searchlab.config.loading import load_study
from searchlab.errors import InputError

if TYPE_CHECKING:
    from postgres_servers import PostgresServer

LIMIT_SECONDS = 400
# The part of the server's password that stays as it is in a URL.
PLANTED = "planted-Geheim"
LOOPBACK = {"127.0.0.1", "::ffff:127.0.0.1", "::1"}

# Every process that imports it leaves what it sees of the password.
SPY = """
import os
from pathlib import Path

found = [name for name, value in os.environ.items() if {planted!r} in value]
Path({folder!r}, f"seen-{{os.getpid()}}").write_text(" ".join(found))
"""


@dataclass(kw_only=True)
class Watched:
    """What was seen of the processes below a driver while it ran."""

    told: list[str] = field(default_factory=list)
    open_listeners: set[str] = field(default_factory=set)
    token_modes: set[int] = field(default_factory=set)
    folder_modes: set[int] = field(default_factory=set)
    num_processes: int = 0

    def look(self, driver: psutil.Process) -> None:
        """Look once at every process; one that ends meanwhile is left out."""
        children = driver.children(recursive=True)
        self.num_processes = max(self.num_processes, len(children))
        for process in [driver, *children]:
            try:
                self._look_at(process, is_driver=process == driver)
            except (psutil.Error, OSError):
                continue

    def _look_at(self, process: psutil.Process, *, is_driver: bool) -> None:
        for connection in process.net_connections(kind="inet"):
            if connection.status == "LISTEN" and connection.laddr.ip not in LOOPBACK:
                self.open_listeners.add(f"{process.name()} {connection.laddr}")
        if is_driver:
            return
        environment = process.environ()
        if PLANTED in str(environment) or PLANTED in str(process.cmdline()):
            self.told.append(process.name())
        if token := environment.get("RAY_AUTH_TOKEN_PATH"):
            self.token_modes.add(stat.S_IMODE(Path(token).stat().st_mode))
            self.folder_modes.add(stat.S_IMODE(Path(token).parent.stat().st_mode))


@dataclass(kw_only=True)
class Ended:
    """How a command ended, and what was seen meanwhile."""

    code: int
    output: str
    watched: Watched


def run_watched(
    folder: Path, ray_folder: Path, url: str, *options: object, verbosity: str = "-v"
) -> Ended:
    """Run the tiny study with its storage in the environment, watched until it ends."""
    study = write_study(
        folder,
        search={"trials": 2},
        training={"epochs": 2},
        baselines={"schemes": ["DT"]},
        confirm={"top": 1, "repeats": 0},
    )
    spy = folder / "spy.py"
    spy.write_text(SPY.format(planted=PLANTED, folder=str(folder)))
    arguments = ["run", study, "--runs-dir", folder / "runs", "--plugin", spy, *options]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TUNE_"))}
    settings = {"SEARCHLAB_STORAGE": url, "PGPASSWORD": PLANTED, "RAY_TMPDIR": str(ray_folder)}
    log = folder / "output.txt"
    watched = Watched()
    with log.open("w") as stream:
        [python, dash_m, package, *command] = search_command(*arguments)
        driver = psutil.Popen(
            [python, dash_m, package, verbosity, *command],
            env={**kept, **settings},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            for _ in range(LIMIT_SECONDS * 2):
                try:
                    code = driver.wait(timeout=0.5)
                except psutil.TimeoutExpired:
                    watched.look(driver)
                else:
                    return Ended(code=code, output=log.read_text(), watched=watched)
        finally:
            if driver.is_running():
                driver.kill()
    raise AssertionError(f"still running after {LIMIT_SECONDS} s:\n{log.read_text()}")


def find_planted(*folders: Path) -> list[Path]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if PLANTED.encode() in path.read_bytes()]


def read_rows(url: str) -> list[str]:
    """Return every row of every table, as text."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(engine).get_table_names()
        return [
            str(row)
            for table in tables
            for row in connection.execute(sqlalchemy.text(f'SELECT * FROM "{table}"'))
        ]


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Ray makes sockets below its folder, and a socket's path may have 107 bytes only."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.postgres
@pytest.mark.slow
def test_a_planted_password_stays_in_the_driver(
    tmp_path: Path, ray_folder: Path, postgres: PostgresServer
) -> None:
    postgres.make_database("secrecy")
    url = postgres.database_url("secrecy", tcp=True)
    assert PLANTED in url
    ended = run_watched(tmp_path, ray_folder, url)
    assert ended.code == 0, ended.output
    watched = ended.watched
    assert watched.num_processes >= 5, "Ray's processes were watched"
    assert watched.told == []
    assert watched.open_listeners == set()
    assert watched.token_modes == {0o600}
    assert watched.folder_modes == {0o700}, "of the session"

    seen = {path: path.read_text() for path in tmp_path.glob("seen-*")}
    assert len(seen) >= 2, "the driver and a worker"
    assert sum(bool(text) for text in seen.values()) <= 1, "the driver's own at most"
    for path in seen:
        path.unlink()

    assert PLANTED not in ended.output
    assert find_planted(tmp_path / "runs", ray_folder) == []
    rows = read_rows(postgres.database_url("secrecy"))
    assert len(rows) > 20, "trials, their parameters, values and attributes"
    assert [row for row in rows if PLANTED in row] == []
    postgres.drop_database("secrecy")


@pytest.mark.postgres
@pytest.mark.slow
def test_a_password_on_the_command_line_is_not_in_the_logs(
    tmp_path: Path, ray_folder: Path, postgres: PostgresServer
) -> None:
    postgres.make_database("secrecy_option")
    url = postgres.database_url("secrecy_option", tcp=True)
    ended = run_watched(tmp_path, ray_folder, "sqlite://", "--storage", url)
    assert ended.code == 0, ended.output
    assert ended.watched.told == []
    assert PLANTED not in ended.output
    assert find_planted(tmp_path / "runs", ray_folder) == []
    postgres.drop_database("secrecy_option")


@pytest.mark.postgres
@pytest.mark.parametrize("verbosity", ["-v", "-vv"])
def test_a_refused_password_is_not_told(
    tmp_path: Path, ray_folder: Path, postgres: PostgresServer, verbosity: str
) -> None:
    parts = urlsplit(postgres.tcp_url)
    url = f"{parts.scheme}://postgres:{PLANTED}-no@127.0.0.1:{parts.port}/postgres"
    ended = run_watched(tmp_path, ray_folder, url, verbosity=verbosity)
    assert ended.code in (2, 3)
    assert "password authentication failed" in ended.output
    assert PLANTED not in ended.output
    assert not (tmp_path / "runs" / "tiny" / "study.yaml").exists()


@pytest.mark.slow
def test_the_password_of_a_storage_that_is_away_is_not_told(
    tmp_path: Path, ray_folder: Path
) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://someone:{PLANTED}/7@127.0.0.1:1/none"
    ended = run_watched(tmp_path, ray_folder, url)
    assert ended.code in (2, 3)
    assert "127.0.0.1" in ended.output
    assert PLANTED not in ended.output


@pytest.mark.parametrize("name", ["../x", "/abs", "a/b", "..", ".hidden", "a\\b", "-x", ""])
def test_a_name_that_is_no_slug_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        load_study(write_study(tmp_path), [f"name={name}"])


def test_a_refused_name_leaves_nothing_behind(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    runs = tmp_path / "deep" / "runs"
    command = search_command("run", study, "--runs-dir", runs, "--set", "name=../x")
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "name" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
