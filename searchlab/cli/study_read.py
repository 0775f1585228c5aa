"""``searchlab study list | status | best | leaderboard``: reading recorded studies."""

from __future__ import annotations

import json
import textwrap
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.chosen_run import LatestRunArgument, choose_run
from searchlab.cli.options import JsonOption, RunsDirOption, StorageOption, examples
from searchlab.cli.terminal import make_console
from searchlab.docstrings import docstring_of
from searchlab.errors import InputError
from searchlab.report.legend import ANY_BOARD

if TYPE_CHECKING:
    from searchlab.report.reading import StudyReading

__all__ = ["print_board", "register"]


class WinningRole(StrEnum):
    """Which trials ``study best`` looks at."""

    finalist = "finalist"
    baseline = "baseline"


MarkdownOption = Annotated[
    bool, typer.Option("--markdown", help="Print Markdown, for a README or an issue.")
]
LegendOption = Annotated[bool, typer.Option("--legend", help="Explain the columns.")]
RoleOption = Annotated[
    WinningRole | None,
    typer.Option(help="Only the best of this role.", show_default="whoever is first"),
]
AllOption = Annotated[bool, typer.Option("--all", help="Show every trial, not only the best.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the ``study`` group."""
    app.command("list", epilog=examples("searchlab study list", "searchlab study list --json"))(
        list_studies
    )
    app.command(
        "status", epilog=examples("searchlab study status", "searchlab study status quickstart")
    )(show_status)
    app.command(
        "best",
        epilog=examples(
            "searchlab study best quickstart > best.yaml", "searchlab study best --role baseline"
        ),
    )(show_best)
    app.command(
        "leaderboard",
        help=_leaderboard_help(),
        epilog=examples(
            "searchlab study leaderboard",
            "searchlab study leaderboard runs/quickstart --all --json",
            "searchlab study leaderboard quickstart --markdown > quickstart.md",
        ),
    )(show_leaderboard)


def list_studies(
    runs_dir: RunsDirOption = None, storage: StorageOption = None, as_json: JsonOption = False
) -> None:
    """List the studies in a runs folder, latest first."""
    from searchlab.records.run_folder import default_runs_dir, list_runs
    from searchlab.report.json_output import summaries_data
    from searchlab.report.summary import summarise_run
    from searchlab.report.tables import print_summaries

    folder = default_runs_dir(runs_dir)
    summaries = [summarise_run(run, storage) for run in list_runs(folder)]
    if as_json:
        _print_json(summaries_data(summaries))
    elif summaries:
        print_summaries(make_console(), summaries)
    else:
        typer.echo(f"No studies in {folder}/. Start one with: searchlab study run STUDY.yaml")


def show_status(
    run: LatestRunArgument = None,
    runs_dir: RunsDirOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a study's progress and how to resume it."""
    from searchlab.report.json_output import status_data
    from searchlab.report.leaderboard import best_row
    from searchlab.report.status import read_status

    reading = _read(run, runs_dir, storage)
    status = read_status(reading)
    best = best_row(reading.records, reading.spec)
    resume = _resume_command(reading, storage) if status.state == "interrupted" else None
    if as_json:
        _print_json(status_data(reading, status, best, resume))
        return
    from searchlab.records.storage.urls import hide_password
    from searchlab.report.tables import describe_figures, print_status

    typer.echo(f"{reading.spec.name}: {status.state}")
    print_status(make_console(), status)
    if best is not None:
        typer.echo("best: " + "\n  ".join(describe_figures(best, reading.metrics)))
    typer.echo(f"run: {reading.run.path}")
    typer.echo(f"storage: {hide_password(reading.storage_url)}")
    if resume is not None:
        typer.echo(f"resume: {resume}")


def show_best(
    run: LatestRunArgument = None,
    role: RoleOption = None,
    runs_dir: RunsDirOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the winning configuration as YAML.

    The winner is the first of the leaderboard by rank, be it a finalist or a baseline. Before any
    finalist is ranked, it is the best trial on the search folds. `searchlab train` reads what this
    prints.
    """
    from searchlab.report.configuration_text import write_configuration
    from searchlab.report.json_output import best_data
    from searchlab.report.leaderboard import best_row

    reading = _read(run, runs_dir, storage)
    if role is None:
        best = best_row(reading.records, reading.spec)
    else:
        best = best_row(reading.records, reading.spec, roles=(role.value,))
    if best is None:
        raise InputError(
            "has no finished trial yet" if role is None else f"has no ranked {role.value} yet",
            where=str(reading.run.path),
            remedy=f"See its progress with: {reading.run.command('study', 'status')}",
        )
    if as_json:
        _print_json(best_data(reading, best))
    else:
        typer.echo(write_configuration(reading, best), nl=False)


def show_leaderboard(
    run: LatestRunArgument = None,
    show_all: AllOption = False,
    legend: LegendOption = False,
    as_markdown: MarkdownOption = False,
    runs_dir: RunsDirOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the trials and name the winner.

    Lists finalists and baselines by cross-validation, then the best of the other search trials.
    The last lines say whether the winner beats the best baseline.
    """
    for other, is_given in (("--markdown", as_markdown), ("--legend", legend)):
        if as_json and is_given:
            raise InputError(
                "cannot be combined with --json", where=other, remedy="Give only one of them"
            )
    reading = _read(run, runs_dir, storage)
    print_board(reading, show_all=show_all, legend=legend, as_json=as_json, as_markdown=as_markdown)


def _leaderboard_help() -> str:
    lines = (
        textwrap.fill(f"  {column:7} {meaning}", width=76, subsequent_indent=" " * 10)
        for column, meaning in ANY_BOARD
    )
    # The backspace keeps click from wrapping them into one paragraph.
    return "\n".join([docstring_of(show_leaderboard), "", "\b", "Columns:", *lines])


def print_board(
    reading: StudyReading,
    *,
    show_all: bool = False,
    legend: bool = False,
    as_json: bool = False,
    as_markdown: bool = False,
) -> None:
    """Print a study's leaderboard, comparisons and verdict, as ``study run`` does at its end."""
    from searchlab.report.board_table import (
        board_markdown,
        print_leaderboard,
        print_verdict,
        verdict_markdown,
    )
    from searchlab.report.comparisons import (
        compare_baselines,
        comparisons_markdown,
        print_comparisons,
    )
    from searchlab.report.json_output import leaderboard_data
    from searchlab.report.leaderboard import build_leaderboard
    from searchlab.report.published import compare_published
    from searchlab.report.published_table import print_published, published_markdown
    from searchlab.report.verdict import reach_verdict

    board = build_leaderboard(reading.records, reading.spec, show_all=show_all)
    verdict = reach_verdict(board, reading.records, reading.spec)
    compared = compare_baselines(reading)
    published = compare_published(reading)
    if as_json:
        _print_json(leaderboard_data(board, verdict, compared, published))
        return
    if as_markdown:
        parts = [board_markdown(board, legend=legend)]
        parts += [comparisons_markdown(compared)] if compared else []
        parts += [published_markdown(published)] if published else []
        typer.echo("\n".join([*parts, verdict_markdown(verdict)]), nl=False)
        return
    console = make_console()
    print_leaderboard(console, board, legend=legend)
    console.print()
    if compared:
        print_comparisons(console, compared)
        console.print()
    if published is not None:
        print_published(console, published)
        console.print()
    print_verdict(console, verdict)  # last, because it is what people act on


def _read(run: str | None, runs_dir: Path | None, storage: str | None) -> StudyReading:
    from searchlab.report.reading import read_study

    return read_study(choose_run(run, runs_dir), storage)


def _resume_command(reading: StudyReading, storage: str | None) -> str:
    from searchlab.records.storage.urls import hide_password

    options = [] if storage is None else ["--storage", hide_password(storage)]
    return reading.run.command("study", "resume", options=options)


def _print_json(data: object) -> None:
    typer.echo(json.dumps(data, indent=2, allow_nan=False))
