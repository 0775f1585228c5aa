"""``--warm-start RUN``: a search that first tries the good points of earlier studies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec

__all__ = ["WarmStartOption", "warm_started"]

WarmStartOption = Annotated[
    list[str] | None,
    typer.Option(
        "--warm-start",
        metavar="RUN",
        help="Try the best points of an earlier study first, those that lie in this space; may be "
        "repeated. They are written into the study as search.warm_start.",
        show_default=False,
    ),
]


def warm_started(spec: StudySpec, runs: Iterable[str], runs_dir: Path | None) -> StudySpec:
    """Return the study with the points of earlier runs added; say which on stderr.

    Raises InputError for a run that is none, or that has no point in the study's space.
    """
    from searchlab.config.plugins import load_plugins
    from searchlab.records.run_folder import default_runs_dir, find_run
    from searchlab.report.reading import read_study
    from searchlab.report.warm_start import find_warm_start
    from searchlab.study.preparation.prepared_study import open_space

    load_plugins(spec.plugins)
    space = open_space(spec)
    points = list(spec.search.warm_start)
    for name in runs:
        run = find_run(name, default_runs_dir(runs_dir))
        found = find_warm_start(spec, space, read_study(run, None))
        typer.echo(found.describe(), err=True)
        points += [point for point in found.points if point not in points]
    search = spec.search.model_copy(update={"warm_start": tuple(points)})
    return spec.model_copy(update={"search": search})
