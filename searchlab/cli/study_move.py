"""``searchlab study export | import | delete``: moving and deleting studies."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.chosen_run import LatestRunArgument, choose_run
from searchlab.cli.files import check_writable
from searchlab.cli.options import (
    ForceOption,
    JsonOption,
    RunArgument,
    RunsDirOption,
    StorageOption,
    examples,
)
from searchlab.control_characters import escape_line
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.records.run_folder import RunFolder

__all__ = ["check_deletable", "confirm_deletion", "delete", "export", "import_", "register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the ``study`` group."""
    app.command(
        "export",
        epilog=examples(
            "searchlab study export",
            "searchlab study export quickstart quickstart.zip",
            "searchlab study export shared shared.zip --storage postgresql://me@host/db",
        ),
    )(export)
    app.command(
        "import",
        epilog=examples(
            "searchlab study import quickstart.zip",
            "searchlab study import quickstart.zip --name quickstart-2",
        ),
    )(import_)
    app.command(
        "delete",
        epilog=examples(
            "searchlab study delete quickstart", "searchlab study delete runs/quickstart --yes"
        ),
    )(delete)


def export(
    run: LatestRunArgument = None,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE.zip", help="The file to write.", show_default="the run's name, .zip"
        ),
    ] = None,
    force: ForceOption = False,
    runs_dir: RunsDirOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a study into one file: trials, YAML, models and what was measured on them.

    The study may be running: the file holds it as it stands. A trial in flight is RUNNING in the
    file, without its checkpoint; once the file is imported and resumed, it starts again under its
    own number.
    """
    from searchlab.cli.copy_progress import copy_progress
    from searchlab.cli.storage import copy_data, describe_copy
    from searchlab.records.storage.opening import open_storage
    from searchlab.report.reading import read_study
    from searchlab.transfer.archive import export_study

    folder = choose_run(run, runs_dir)
    file = file or Path(f"{folder.path.resolve().name}.zip")
    if file.is_dir():
        raise InputError("is a folder", where=str(file), remedy="Name a file")
    check_writable(file, force=force)
    if not file.parent.is_dir():
        raise InputError("does not exist", where=f"the folder {file.parent}")
    url = read_study(folder, storage).storage_url  # creates nothing if the study is missing
    with copy_progress() as show:
        exported = export_study(folder, open_storage(url), file, on_progress=show)
    if as_json:
        data = {
            **copy_data(exported.copy),
            "file": str(file),
            "bytes": exported.num_bytes,
            "artifacts": exported.num_artifacts,
            "left_out": [str(path) for path in exported.left_out],
        }
        typer.echo(json.dumps(data, indent=2))
        return
    typer.echo(f"Exported {describe_copy(exported.copy)}")
    typer.echo(f"File: {file} ({exported.num_artifacts} artifacts, {exported.num_bytes:,} bytes)")
    for path in exported.left_out:
        typer.echo(f"skipped (not a model file): {escape_line(str(path))}", err=True)


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.zip", help="File that `study export` wrote.")
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="New name for the study.", show_default=False),
    ] = None,
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code",
            help="Import a study that names Python code (plugins, or a function as its space), "
            "which runs once you resume the study.",
        ),
    ] = False,
    runs_dir: RunsDirOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a run from an exported file, to read or resume it here.

    The file may come from anybody: it is checked before anything is written, and nothing in it is
    run. To resume it, this machine needs the images, and the plugins that the study names.
    """
    from searchlab.cli.copy_progress import copy_progress
    from searchlab.cli.storage import copy_data, describe_copy
    from searchlab.records.run_folder import default_runs_dir
    from searchlab.transfer.archive_reading import import_study

    root = default_runs_dir(runs_dir)
    with copy_progress() as show:
        imported = import_study(
            file,
            root,
            new_name=name,
            storage_url=storage,
            allow_code=allow_code,
            on_progress=show,
        )
    path = imported.run.path
    if as_json:
        data = {
            **copy_data(imported.copy),
            "run": str(path),
            "artifacts": imported.num_artifacts,
        }
        typer.echo(json.dumps(data, indent=2))
        return
    typer.echo(f"Imported {describe_copy(imported.copy)}")
    typer.echo("Open the results with:")
    typer.echo(f"  {imported.run.command('study', 'leaderboard')}")


def delete(
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    keep_storage: Annotated[
        bool, typer.Option("--keep-storage", help="Delete the run folder only.")
    ] = False,
    runs_dir: RunsDirOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a study: its trials in the storage and its run folder.

    Files in the folder that searchlab did not write are kept, and listed.
    """
    from searchlab.records.storage.urls import hide_password
    from searchlab.transfer.deletion import delete_run

    folder = choose_run(run, runs_dir)
    check_deletable(folder)
    url = hide_password(folder.storage_url(storage)) if not keep_storage else None
    if not yes:
        confirm_deletion(folder, url)
    gone = delete_run(folder, storage_option=storage, keep_storage=keep_storage)
    if as_json:
        data = {"study": gone.study, "storage": url, "left": [str(path) for path in gone.left]}
        typer.echo(json.dumps(data, indent=2))
        return
    typer.echo(f"Deleted {gone.study}")
    for path in gone.left:
        typer.echo(f"kept (not written by searchlab): {escape_line(str(path))}", err=True)


def check_deletable(run: RunFolder) -> None:
    """Raise InputError if a driver runs the study."""
    from searchlab.records.locks.file_lock import is_file_held

    if is_file_held(run.lock_file):
        raise InputError(
            "is being run by another process",
            where=f"the run {run.path}",
            remedy="Stop it first with Ctrl-C or SIGTERM; it ends within seconds",
        )


def confirm_deletion(run: RunFolder, url: str | None) -> None:
    """Ask whether a run may be deleted, and its study at ``url``. Raises Abort, or InputError."""
    if not _can_ask():
        raise InputError(
            "must be given if there is no terminal to ask on",
            where="--yes",
            remedy=f"Add it to delete {run.path}/ without being asked",
        )
    storage = f" and its study in {url}" if url is not None else ""
    typer.confirm(f"Delete {run.path}/{storage}?", abort=True, err=True)


def _can_ask() -> bool:
    return sys.stdin.isatty()
