"""``searchlab study run | resume``. The commands that read studies are in study_read."""

from __future__ import annotations

import dataclasses
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.completion import complete_setting, complete_study
from searchlab.cli.options import (
    COMMAND_GROUP,
    DataDirOption,
    JsonOption,
    PluginOption,
    RunArgument,
    RunsDirOption,
    StorageOption,
    examples,
)
from searchlab.cli.study_read import print_board, register
from searchlab.cli.study_report import write_report_beside
from searchlab.cli.warm_start import WarmStartOption, warm_started
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.engine.launch import RunOptions
    from searchlab.records.run_folder import RunFolder
    from searchlab.study.callbacks import StudyCallback

__all__ = ["app"]


class Engine(StrEnum):
    """What runs the trials."""

    tune = "tune"
    serial = "serial"


class Until(StrEnum):
    """What may end a search before its budget."""

    better_than_baseline = "better-than-baseline"


app = typer.Typer(**COMMAND_GROUP, help="Run studies and read their results.")

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Override a field; may be repeated.",
        autocompletion=complete_setting,
    ),
]
EngineOption = Annotated[
    Engine, typer.Option(help="tune: Ray workers; serial: in this process, for debugging.")
]
PresetOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Apply the overrides of this name from the study's presets."),
]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="Same as --preset quick: a first look in a few minutes.")
]
TrackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="NAME",
        help="Also tell a tracker, here and on every resume: tensorboard, mlflow, wandb or one of "
        "a plugin; may be repeated.",
        show_default=False,
    ),
]
UntilOption = Annotated[
    Until | None,
    typer.Option(
        "--until",
        help="Also end the search once its best trial is clearly ahead of the best baseline on the "
        "search folds. The verdict is reached as ever.",
        show_default=False,
    ),
]
OnEndOption = Annotated[
    str | None,
    typer.Option(
        "--on-end",
        metavar="COMMAND",
        help="Shell command to run at the end, here and on every resume, with SEARCHLAB_STATUS, "
        "SEARCHLAB_ANSWER and SEARCHLAB_VERDICT in its environment.",
        show_default=False,
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Ray cluster to run on; auto finds one on this machine.  [env: RAY_ADDRESS]",
        show_default="a new local Ray",
    ),
]
JoinOption = Annotated[
    bool,
    typer.Option(
        "--join",
        help="Share the study with other drivers; needs PostgreSQL storage. If a driver dies, "
        "another one starts its trials anew.",
    ),
]
ReplaceOption = Annotated[
    bool,
    typer.Option("--replace", help="First delete an earlier study of this name, after asking."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="With --replace: do not ask.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


@app.command(
    epilog=examples(
        "searchlab study run quickstart",
        "searchlab study run quickstart --track tensorboard",
        "searchlab study run studies/usps.yaml --warm-start runs/quickstart",
        "searchlab study run studies/quickstart.yaml --set search.trials=5",
        "searchlab study run studies/report-004.yaml --quick",
        "searchlab study run studies/quickstart.yaml --address auto --runs-dir /nfs",
        "searchlab study run examples/my_family.yaml --plugin examples/my_family.py",
    )
)
def run(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A study file (*.yaml), or the name of one in studies/ or shipped.",
            autocompletion=complete_study,
        ),
    ],
    overrides: SetOption = None,
    preset: PresetOption = None,
    quick: QuickOption = False,
    plugins: PluginOption = None,
    track: TrackOption = None,
    warm_start: WarmStartOption = None,
    until: UntilOption = None,
    on_end: OnEndOption = None,
    runs_dir: RunsDirOption = None,
    data_dir: DataDirOption = None,
    storage: StorageOption = None,
    engine: EngineOption = Engine.tune,
    address: AddressOption = None,
    join: JoinOption = False,
    replace: ReplaceOption = False,
    yes: YesOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a study from its file.

    A name stands for the file in studies/, or else for the study that comes with searchlab:
    quickstart needs no file and no download.

    Trains the baselines, searches, confirms the best trials, and prints the leaderboard. Results
    go to runs/<name>/.
    """
    from searchlab.cli.progress import shown_progress
    from searchlab.cli.study_move import check_deletable, confirm_deletion
    from searchlab.config.loading import load_study
    from searchlab.config.shipped import find_study
    from searchlab.records.run_folder import RunFolder, default_runs_dir
    from searchlab.records.storage.urls import hide_password
    from searchlab.report.end_command import run_at_end
    from searchlab.report.run_weights import with_run_weights

    _check_engine(engine, address)
    if quick and preset is not None:
        raise InputError(
            "cannot be combined with --preset", where="--quick", remedy="Give only one of them"
        )
    preset = "quick" if quick else preset
    path = find_study(study)
    overrides = _add_options(overrides, until, on_end)
    file = load_study(path, overrides, preset=preset, plugins=plugins or ())
    file, found = with_run_weights(file, default_runs_dir(runs_dir))
    for line in found:
        typer.echo(line, err=True)
    if warm_start:
        spec = warm_started(file.spec, warm_start, runs_dir)
        file = dataclasses.replace(file, spec=spec)
    folder = RunFolder(default_runs_dir(runs_dir) / file.spec.name)
    if replace and folder.exists():
        check_deletable(folder)
        url = hide_password(folder.storage_url(None if folder.is_embedded() else storage))
        if not yes:
            confirm_deletion(folder, url)

    with run_at_end(file.spec.on_end, folder, storage):
        with shown_progress(quiet) as progress:
            progress.begin_phase(_first_phase(path, engine))
            from searchlab.engine.launch import begin_study  # takes seconds

            options = _drive(data_dir, storage, engine, address, join, track, progress)
            begin_study(file, folder, options, replace=replace)
        _show_end(folder, storage, as_json)


@app.command(
    epilog=examples(
        "searchlab study resume quickstart",
        "searchlab study resume runs/fashion-mnist --set search.trials=200",
    )
)
def resume(
    run: RunArgument,
    overrides: SetOption = None,
    plugins: PluginOption = None,
    track: TrackOption = None,
    until: UntilOption = None,
    on_end: OnEndOption = None,
    runs_dir: RunsDirOption = None,
    data_dir: DataDirOption = None,
    storage: StorageOption = None,
    engine: EngineOption = Engine.tune,
    address: AddressOption = None,
    join: JoinOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Resume a stopped or killed study.

    Trials that were running continue under their own numbers. If the run was copied to another
    storage, --storage makes that its storage from now on. --set can change only search.trials,
    search.timeout, search.until, search.max_failures_in_row, confirm.top, confirm.repeats, report,
    resources, trackers and on_end. More search.trials or confirm.repeats extend a finished study.
    """
    from searchlab.cli.progress import shown_progress
    from searchlab.records.recorded_spec import check_resumable
    from searchlab.records.run_folder import default_runs_dir, find_run
    from searchlab.report.end_command import find_end_command, run_at_end

    _check_engine(engine, address)
    folder = find_run(run, default_runs_dir(runs_dir))
    check_resumable(overrides or ())
    changes = tuple(_add_options(overrides, until, on_end))

    with run_at_end(find_end_command(folder, changes), folder, storage):
        with shown_progress(quiet) as progress:
            progress.begin_phase(_first_phase(folder.path, engine))
            from searchlab.engine.launch import resume_study  # takes seconds

            options = _drive(data_dir, storage, engine, address, join, track, progress)
            resume_study(folder, options, overrides=changes, plugins=plugins or ())
        _show_end(folder, storage, as_json)


def _add_options(overrides: list[str] | None, until: Until | None, on_end: str | None) -> list[str]:
    """Return what ``--set`` sets, and the options that stand for fields."""
    fields = {"search.until": until, "on_end": on_end}
    given = {place: value for place, value in fields.items() if value is not None}
    return [*(overrides or ()), *(f"{place}={json.dumps(value)}" for place, value in given.items())]


def _check_engine(engine: Engine, address: str | None) -> None:
    if engine is Engine.tune and sys.flags.optimize >= 2:
        raise InputError(
            "needs docstrings, which python -OO and PYTHONOPTIMIZE=2 drop",
            where="Ray",
            remedy="Set PYTHONOPTIMIZE=1, or use --engine serial",
        )
    if engine is Engine.serial and address is not None:
        raise InputError("needs Ray", where="--address", remedy="Remove it, or --engine serial")


def _first_phase(what: Path, engine: Engine) -> str:
    return f"checking {what}" + (" before starting Ray" if engine is Engine.tune else "")


def _drive(
    data_dir: Path | None,
    storage: str | None,
    engine: Engine,
    address: str | None,
    join: bool,
    track: list[str] | None,
    progress: StudyCallback,
) -> RunOptions:
    from searchlab.cli.progress import decoding_shown_by
    from searchlab.data import resolve_data_dir
    from searchlab.engine.launch import RunOptions
    from searchlab.trackers import make_trackers

    return RunOptions(
        data_dir=resolve_data_dir(data_dir),
        storage_url=storage,
        engine=engine.value,
        address=address,
        join=join,
        callback=progress,
        on_decoding=decoding_shown_by(progress),
        track=tuple(track or ()),
        make_trackers=make_trackers,
    )


def _show_end(folder: RunFolder, storage: str | None, as_json: bool) -> None:
    from searchlab.report.leaderboard import best_row
    from searchlab.report.reading import read_study

    reading = read_study(folder, storage)
    print_board(reading, as_json=as_json)
    place = write_report_beside(reading)
    if not as_json:
        typer.echo("\nOpen the results with:")
        typer.echo(f"  {folder.command('dashboard')}")
        typer.echo(f"The report: {place}")
        best = best_row(reading.records, reading.spec)
        if best is not None and best.role != "search":  # a search trial keeps no weights
            typer.echo("Use the winner:")
            typer.echo(
                f"  {folder.command('export', options=('--to', f'{folder.path.name}-model'))}"
            )


register(app)
