"""``searchlab trial show | rerun``: one trial in full, and whether it can be had again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.chosen_run import LatestRunArgument, choose_run
from searchlab.cli.options import (
    COMMAND_GROUP,
    DataDirOption,
    JsonOption,
    RunArgument,
    RunsDirOption,
    StorageOption,
    examples,
)
from searchlab.cli.terminal import make_console
from searchlab.errors import InputError
from searchlab.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from searchlab.report.reading import StudyReading

__all__ = ["app"]

app = typer.Typer(**COMMAND_GROUP, help="Show one trial, or train it again.")

NumberArgument = Annotated[int, typer.Argument(metavar="N", help="Number of the trial.", min=0)]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


@app.command(
    epilog=examples(
        "searchlab trial show",
        "searchlab trial show quickstart 12",
        "searchlab trial show runs/quickstart 12 --json",
    )
)
def show(
    run: LatestRunArgument = None,
    number: Annotated[
        int | None,
        typer.Argument(
            metavar="[N]",
            help="Number of the trial.",
            min=0,
            show_default="the winner, as in study best",
        ),
    ] = None,
    runs_dir: RunsDirOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a trial: configuration, curves, how it was found and what it cost.

    A curve runs from its lowest value to its highest; the best value has its epoch beside it.
    Runs no code that the study brings along.
    """
    from searchlab.report.leaderboard import best_row
    from searchlab.report.trial_text import print_trial
    from searchlab.report.trial_view import trial_data, view_trial

    reading = _read(run, runs_dir, storage)
    if number is None:
        best = best_row(reading.records, reading.spec)
        if best is None:
            raise InputError(
                "has no finished trial to show yet",
                where=str(reading.run.path),
                remedy="Name a trial by its number",
            )
        number = best.number
    view = view_trial(reading, number)
    if as_json:
        typer.echo(json.dumps(trial_data(reading, view), indent=2, allow_nan=False))
    else:
        print_trial(make_console(), view, reading.metrics)


@app.command(
    epilog=examples(
        "searchlab trial rerun quickstart 12",
        "searchlab trial rerun quickstart 12 --json",
    )
)
def rerun(
    run: RunArgument,
    number: NumberArgument,
    runs_dir: RunsDirOption = None,
    data_dir: DataDirOption = None,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a trial again, in this process, and compare every epoch with its record.

    The exit code is 1 if something differs; the first difference is printed. Learning curves are
    recorded to 6 digits and compared so; the objective's means, the figures of the trial's end
    and its saved weights are compared to the bit. Nothing is written.
    """
    from searchlab.cli.decoding_progress import make_decoding_progress
    from searchlab.cli.epoch_progress import epoch_progress
    from searchlab.data import resolve_data_dir
    from searchlab.report.rerun import rerun_trial
    from searchlab.report.trial_text import describe_rerun

    reading = _read(run, runs_dir, storage)
    with epoch_progress(f"trial #{number}", quiet=quiet) as on_epoch:
        done = rerun_trial(
            reading,
            number,
            data_dir=resolve_data_dir(data_dir),
            on_decoding=make_decoding_progress(quiet),
            on_epoch=on_epoch,
        )
    if as_json:
        typer.echo(json.dumps(done.to_data(), indent=2, allow_nan=False))
    else:
        typer.echo("\n".join(describe_rerun(done)))
    if done.difference is not None:
        raise typer.Exit(ExitCode.NEGATIVE)


def _read(run: str | None, runs_dir: Path | None, storage: str | None) -> StudyReading:
    from searchlab.report.reading import read_study

    return read_study(choose_run(run, runs_dir), storage)
