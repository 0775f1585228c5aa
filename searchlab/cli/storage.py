"""``searchlab storage copy``: copying studies between storages."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
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
    from searchlab.records.run_folder import RunFolder
    from searchlab.transfer.copying import StudyCopy

__all__ = ["app", "copy_data", "describe_copy"]

app = typer.Typer(**COMMAND_GROUP, help="Copy studies between storages.")

_DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A storage as given: its URL, and its run if one was named."""

    url: str
    run: RunFolder | None = None


@app.command(
    epilog=examples(
        "searchlab storage copy quickstart postgresql+psycopg://me@host/studies",
        "searchlab storage copy postgresql+psycopg://me@host/studies backup.db",
        "searchlab storage copy backup.db other.db --study quickstart --json",
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
        typer.Option(
            metavar="NAME", help="Copy only this study.", show_default="all, or the run's"
        ),
    ] = None,
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy whole studies, and compare each copy with its original.

    A copy has every trial with its number, state, times, parameters, values and learning curves.
    The original stays. An interrupted copy leaves nothing behind. Running the command again
    updates an earlier copy; it never touches another study of that name.
    """
    from searchlab.cli.copy_progress import copy_progress
    from searchlab.records.run_folder import default_runs_dir
    from searchlab.records.storage.opening import open_storage
    from searchlab.records.storage.urls import hide_password
    from searchlab.transfer.copying import check_target, copy_study, list_studies

    root = default_runs_dir(runs_dir)
    origin, goal = _find_place(source, root), _find_place(target, root)
    _check_source(origin.url)
    opened, written = open_storage(origin.url), open_storage(goal.url)
    if study is None and origin.run is not None:
        study = origin.run.load().spec.name
    names = [study] if study is not None else list_studies(opened)
    for name in names:  # before the first is copied
        check_target(opened, written, name)
    copies: list[StudyCopy] = []
    for name in names:
        with copy_progress() as show:
            copies.append(copy_study(opened, written, name, on_progress=show))
        if not as_json:
            typer.echo(f"Copied {describe_copy(copies[-1])}")
    if as_json:
        data = {"to": hide_password(goal.url), "studies": [copy_data(one) for one in copies]}
        typer.echo(json.dumps(data, indent=2))
    elif not copies:
        typer.echo(f"No study in {hide_password(origin.url)}")
    elif origin.run is not None:
        options = ["--storage", hide_password(goal.url)]
        typer.echo("Resume it there with:")
        typer.echo(f"  {origin.run.command('study', 'resume', options=options)}")


def describe_copy(copied: StudyCopy) -> str:
    """Return what was copied as one line."""
    states = ", ".join(f"{number} {state}" for state, number in copied.states.items())
    count = f"{copied.num_trials} trial{'' if copied.num_trials == 1 else 's'}"
    return f"{copied.study}: {count}" + (f" ({states})" if states else "")


def copy_data(copied: StudyCopy) -> dict[str, object]:
    """Return what was copied as plain data."""
    return {"study": copied.study, "trials": copied.num_trials, "states": copied.states}


def _find_place(text: str, root: Path) -> _Place:
    """Return the storage that a URL, a database file or a run names. Raises InputError."""
    from searchlab.records.run_folder import find_run
    from searchlab.records.storage.opening import sqlite_url
    from searchlab.records.storage.urls import looks_like_url

    if looks_like_url(text):
        return _Place(url=text)
    if Path(text).suffix in _DATABASE_SUFFIXES:
        return _Place(url=sqlite_url(Path(text)))
    run = find_run(text, root)
    return _Place(url=_find_url(run), run=run)


def _find_url(run: RunFolder) -> str:
    """Return a run's storage, with the password that SEARCHLAB_STORAGE has for it."""
    from searchlab.records.storage.urls import hide_password, normalise

    noted = run.noted_storage
    if noted is None or "***" not in noted:
        return run.storage_url()
    given = os.environ.get("SEARCHLAB_STORAGE", "")
    if hide_password(normalise(given)) == hide_password(normalise(noted)):
        return given
    raise InputError(
        f"is recorded in {noted}, whose password is not kept",
        where=f"the run {run.path}",
        remedy="Set SEARCHLAB_STORAGE to that URL with its password, or give it in place of RUN",
    )


def _check_source(url: str) -> None:
    """Raise InputError if the SQLite file does not exist, because opening would create it."""
    from searchlab.records.storage.urls import find_sqlite_file, hide_password

    path = find_sqlite_file(url)
    if path is not None and not path.is_file():
        raise InputError("does not exist", where=hide_password(url))
