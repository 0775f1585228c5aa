"""What a shell completes: the names of runs, studies and spaces.

A function that knows no name returns none, and the shell then completes files.
"""

from __future__ import annotations

import typer

__all__ = ["complete_run", "complete_space", "complete_study"]


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Return the runs in ``--runs-dir``, or else where runs are, the latest first."""
    from searchlab.records.run_folder import default_runs_dir, list_runs

    runs = list_runs(default_runs_dir(context.params.get("runs_dir")))
    return [run.path.name for run in runs if run.path.name.startswith(incomplete)]


def complete_study(incomplete: str) -> list[str]:
    """Return the studies that a name finds."""
    return _list_shipped("studies", incomplete)


def complete_space(incomplete: str) -> list[str]:
    """Return the spaces that a name finds."""
    return _list_shipped("spaces", incomplete)


def _list_shipped(folder: str, incomplete: str) -> list[str]:
    from searchlab.config.shipped import list_names

    return [name for name in list_names(folder) if name.startswith(incomplete)]
