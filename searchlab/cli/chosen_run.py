"""The run that a command reads: the one that is named, or else the latest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.completion import complete_run
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.records.run_folder import RunFolder

__all__ = ["AllRunsArgument", "LatestRunArgument", "check_any_run", "choose_run"]

LatestRunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Run folder, or the run's name.",
        show_default="the latest run",
        autocompletion=complete_run,
    ),
]

AllRunsArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Run folder, or the run's name.",
        show_default="all runs",
        autocompletion=complete_run,
    ),
]


def choose_run(run: str | None, runs_dir: Path | None) -> RunFolder:
    """Return the named run. Without a name, return the latest, and say on stderr which it is.

    Raises InputError if there is none.
    """
    from searchlab.records.run_folder import default_runs_dir, find_run, list_runs

    root = default_runs_dir(runs_dir)
    if run is not None:
        return find_run(run, root)
    check_any_run(root)
    latest = list_runs(root)[0]
    typer.echo(f"Latest run: {latest.path}", err=True)
    return latest


def check_any_run(root: Path) -> None:
    """Raise InputError if a folder contains no runs."""
    from searchlab.records.run_folder import list_runs

    if not list_runs(root):
        raise InputError(
            "contains no runs",
            where=f"{root}/",
            remedy="Start one with searchlab study run STUDY.yaml, name a run, or give --runs-dir",
        )
