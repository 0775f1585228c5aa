"""``searchlab storage copy | serve``: moving studies between storages, and sharing one."""

from __future__ import annotations

import ipaddress
import json
import os
import shlex
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.options import (
    COMMAND_GROUP,
    JsonOption,
    RunsDirOption,
    examples,
)
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.study.run_folder import RunFolder
    from searchlab.study.transfer.copying import StudyCopy

__all__ = ["app", "copy_data", "describe_copy"]

app = typer.Typer(**COMMAND_GROUP, help="Move studies between storages, and share a storage.")

_DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A storage as given: its URL, and the run where one was named."""

    url: str
    run: RunFolder | None = None


@app.command(
    epilog=examples(
        "searchlab storage copy quickstart postgresql+psycopg://me@host/studies",
        "searchlab storage copy postgresql+psycopg://me@host/studies backup.db",
        "searchlab storage copy backup.db grpc://127.0.0.1:13000 --study quickstart --json",
    )
)
def copy(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="A storage URL, a *.db file or a run.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="A storage URL, a *.db file or a run.")
    ],
    study: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="This study only.", show_default="all, or the run's"),
    ] = None,
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy studies whole, and compare the copies with them.

    Every trial with its number, state, times, parameters, values and learning curves. The
    original stays. A copy that is cut off is marked as half a copy, and begun again when the
    command is given again; a study of that name which is there already is never touched.
    """
    from searchlab.cli.copy_progress import copy_progress
    from searchlab.study.run_folder import default_runs_dir
    from searchlab.study.storage.opening import hide_password, open_storage
    from searchlab.study.transfer.copying import check_target, copy_study, list_studies

    root = default_runs_dir(runs_dir)
    origin, goal = _find_place(source, root), _find_place(target, root)
    _check_source(origin.url)
    opened, written = open_storage(origin.url), open_storage(goal.url)
    if study is None and origin.run is not None:
        study = origin.run.load().spec.name
    names = [study] if study is not None else list_studies(opened)
    for name in names:  # before the first is copied
        check_target(written, name)
    copies: list[StudyCopy] = []
    for name in names:
        with copy_progress() as show:
            copies.append(copy_study(opened, written, name, on_progress=show))
        if not as_json:
            typer.echo(f"copied {describe_copy(copies[-1])}")
    if as_json:
        data = {"to": hide_password(goal.url), "studies": [copy_data(one) for one in copies]}
        typer.echo(json.dumps(data, indent=2))
    elif not copies:
        typer.echo(f"no study in {hide_password(origin.url)}")
    elif origin.run is not None:
        command = ["searchlab", "study", "resume", str(origin.run.path), "--storage", goal.url]
        typer.echo(f"carry on there: {hide_password(shlex.join(command))}")


def describe_copy(copied: StudyCopy) -> str:
    """Say what was copied on a line."""
    states = ", ".join(f"{number} {state}" for state, number in copied.states.items())
    count = f"{copied.num_trials} trial{'' if copied.num_trials == 1 else 's'}"
    return f"{copied.study}: {count}" + (f" ({states})" if states else "")


def copy_data(copied: StudyCopy) -> dict[str, object]:
    """Return what was copied as plain data."""
    return {"study": copied.study, "trials": copied.num_trials, "states": copied.states}


@app.command(
    epilog=examples(
        "searchlab storage serve postgresql+psycopg://me@host/studies",
        "searchlab storage serve quickstart --port 0",
    )
)
def serve(
    storage: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="A storage URL, a *.db file or a run.",
            envvar="SEARCHLAB_STORAGE",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free port.")] = 13000,
    runs_dir: RunsDirOption = None,
) -> None:
    """Serve a storage to other programs by Optuna's gRPC proxy.

    They name it grpc://HOST:PORT, and need neither the database's driver nor its password.
    Anyone who reaches the port can read and write all studies, so it listens on this machine
    only unless --host says otherwise. Ctrl-C ends it.
    """
    from searchlab.study.run_folder import default_runs_dir
    from searchlab.study.storage.opening import hide_password, open_storage

    if storage is None:
        raise InputError(
            "must be given", where="URL", remedy="Name a storage or a run, or set SEARCHLAB_STORAGE"
        )
    place = _find_place(storage, default_runs_dir(runs_dir))
    if place.url.startswith("grpc://"):
        raise InputError("is a gRPC proxy already", where="URL", found=place.url)
    from searchlab.study.storage.server import start_server

    # From before the port is open: whoever reads the line below may end it at once.
    ending = threading.Event()
    _set_on_signals(ending)
    opened = open_storage(place.url)
    server = start_server(opened, host=host, port=port)
    if not _is_loopback(host):
        typer.echo(
            f"warning: {host} can be reached from other machines, and the proxy has neither "
            "encryption nor passwords: whoever reaches it can change and delete every study",
            err=True,
        )
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"storage: grpc://{shown}:{server.port}")
    typer.echo(f"backed by: {hide_password(place.url)}  (Ctrl-C ends it)", err=True)
    ending.wait()
    opened.stop_waiting()  # or calls would wait on for a database that is away
    server.stop()
    typer.echo("storage server ended", err=True)


def _find_place(text: str, root: Path) -> _Place:
    """Return the storage that a URL, a database file or a run stands for. Raises InputError."""
    from searchlab.study.run_folder import find_run
    from searchlab.study.storage.opening import sqlite_url

    if "://" in text:
        return _Place(url=text)
    if Path(text).suffix in _DATABASE_SUFFIXES:
        return _Place(url=sqlite_url(Path(text)))
    run = find_run(text, root)
    return _Place(url=_find_url(run), run=run)


def _find_url(run: RunFolder) -> str:
    """Return a run's storage, with the password that SEARCHLAB_STORAGE has for it."""
    from searchlab.study.storage.opening import hide_password
    from searchlab.study.storage.urls import normalise

    noted = run.noted_storage
    if noted is None or "***" not in noted:
        return run.storage_url()
    given = os.environ.get("SEARCHLAB_STORAGE", "")
    if hide_password(normalise(given)) == hide_password(normalise(noted)):
        return given
    raise InputError(
        f"is recorded in {noted}, whose password is not kept",
        where=f"the run {run.path}",
        remedy="Set SEARCHLAB_STORAGE to that URL with its password, or give that in place of RUN",
    )


def _check_source(url: str) -> None:
    """Raise InputError for an SQLite file that is not there, which opening would create."""
    from searchlab.study.storage.opening import hide_password

    path = url.removeprefix("sqlite:///").partition("?")[0]
    if url.startswith("sqlite:///") and not Path(path).is_file():
        raise InputError("is not there", where=hide_password(url))


def _set_on_signals(event: threading.Event) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
