"""``searchlab study report``: a study's report as a file."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.chosen_run import LatestRunArgument, choose_run
from searchlab.cli.files import check_writable, write_file
from searchlab.cli.options import ForceOption, RunsDirOption, StorageOption, examples
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.report.page.blocks import Section
    from searchlab.report.reading import StudyReading

__all__ = ["EXAMPLES", "report", "write_report_beside"]

EXAMPLES = examples(
    "searchlab study report",
    "searchlab study report quickstart --to quickstart.html",
    "searchlab study report quickstart --format md",
    "searchlab study report quickstart --figures figures --image svg",
)

_ELSEWHERE = "Choose another place with --to"


class ReportFormat(StrEnum):
    """What a report is written as."""

    html = "html"
    md = "md"
    json = "json"
    csv = "csv"


class ImageFormat(StrEnum):
    """What a figure is written as."""

    png = "png"
    svg = "svg"


def report(
    run: LatestRunArgument = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to write it; for csv, a folder.",
            show_default="report.html (md, json; for csv the folder report) in the run folder",
        ),
    ] = None,
    form: Annotated[
        ReportFormat,
        typer.Option(
            "--format", help="html: the whole report; md, json and csv: its sentences and tables."
        ),
    ] = ReportFormat.html,
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write each figure into a file here, too; needs searchlab[figures] and Chrome.",
        ),
    ] = None,
    image: Annotated[ImageFormat, typer.Option(help="The format of --figures.")] = ImageFormat.png,
    force: ForceOption = False,
    runs_dir: RunsDirOption = None,
    storage: StorageOption = None,
) -> None:
    """Write a study's report: answer, leaderboard, search, baselines and where it comes from.

    It is one HTML file that needs no network. `study run` and `study resume` write it at their
    end; a study that is still running or was interrupted has one too.
    """
    from searchlab.report.page.report import make_report
    from searchlab.report.reading import read_study

    folder = choose_run(run, runs_dir)
    place = to or folder.path / ("report" if form is ReportFormat.csv else f"report.{form.value}")
    if to is not None:
        check_writable(to, force=force)
    reading = read_study(folder, storage)
    sections = make_report(reading)
    drawn = []
    if figures is not None:
        from searchlab.report.page.outputs import draw_figures

        try:
            drawn = draw_figures(sections, figures, image.value)
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}",
                where=str(figures),
                remedy="Choose another place with --figures",
            ) from error
    _write(place, form, reading, sections)
    typer.echo(str(place))
    if figures is not None:
        typer.echo(f"{figures}: {len(drawn)} figures")


def write_report_beside(reading: StudyReading) -> Path:
    """Write the report into the run's folder, as ``study run`` does at its end."""
    from searchlab.report.page.report import make_report

    place = reading.run.path / "report.html"
    _write(place, ReportFormat.html, reading, make_report(reading))
    return place


def _write(place: Path, form: ReportFormat, reading: StudyReading, sections: list[Section]) -> None:
    from searchlab.report.page.document import write_html
    from searchlab.report.page.outputs import report_data, report_markdown, table_csvs

    title = f"{reading.spec.name}: report"
    if form is ReportFormat.html:
        write_file(place, write_html(title, sections), remedy=_ELSEWHERE)
    elif form is ReportFormat.md:
        write_file(place, report_markdown(title, sections), remedy=_ELSEWHERE)
    elif form is ReportFormat.json:
        data = {"study": reading.spec.name, "sections": report_data(sections)}
        write_file(place, json.dumps(data, indent=2) + "\n", remedy=_ELSEWHERE)
    else:
        if place.is_file():
            raise InputError(
                "is a file, and CSV needs a folder", where=str(place), remedy=_ELSEWHERE
            )
        for name, text in table_csvs(sections):
            write_file(place / f"{name}.csv", text, remedy=_ELSEWHERE)
