"""The run or study that a command reads: the one that is named, or else the latest run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.completion import complete_run
from searchlab.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from searchlab.config.loading import StudyFile
    from searchlab.records.run_folder import RunFolder

__all__ = [
    "AllRunsArgument",
    "LatestRunArgument",
    "check_any_run",
    "choose_run",
    "load_run_or_study",
]

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


def load_run_or_study(given: str | None, runs_dir: Path | None) -> StudyFile:
    """Return the study of a study file, of a run, or of a study's name; of the latest run for None.

    Raises InputError for what is none of these.
    """
    from searchlab.config.loading import load_study
    from searchlab.config.shipped import find_study, list_names
    from searchlab.records.run_folder import default_runs_dir, find_run, list_runs

    if given is None:
        return choose_run(None, runs_dir).load()
    if Path(given).is_file():
        return load_study(Path(given))
    root = default_runs_dir(runs_dir)
    try:
        return find_run(given, root).load()
    except InputError:
        names = list_names("studies")
        if given in names:
            return load_study(find_study(given))
        known = [*(run.path.name for run in list_runs(root)), *names]
        raise InputError(
            "is neither a study file nor the name of a run or study",
            where=given,
            remedy=did_you_mean(Path(given).name, known),
        ) from None


def check_any_run(root: Path) -> None:
    """Raise InputError if a folder contains no runs."""
    from searchlab.records.run_folder import list_runs

    if not list_runs(root):
        raise InputError(
            "contains no runs",
            where=f"{root}/",
            remedy="Start one with searchlab study run STUDY.yaml, name a run, or give --runs-dir",
        )
