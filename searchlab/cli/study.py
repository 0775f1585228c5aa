"""``searchlab study run | resume``. The commands that read studies are in study_read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.engine.launch import RunOptions
    from searchlab.study.run_folder import RunFolder

__all__ = ["app"]


class Engine(StrEnum):
    """What runs the trials."""

    tune = "tune"
    serial = "serial"


app = typer.Typer(**COMMAND_GROUP, help="Run studies and read their results.")

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Override a field; may be repeated."),
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
    typer.Option("--join", help="Share the study with other drivers; needs PostgreSQL storage."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]

# A resume may give a study more time, trials or workers. Any other change would make the new
# trials incomparable with the earlier ones.
_RESUMABLE = (
    "search.trials",
    "search.timeout",
    "search.max_failures_in_row",
    "confirm.top",
    "resources.",
)


@app.command(
    epilog=examples(
        "searchlab study run studies/quickstart.yaml",
        "searchlab study run studies/quickstart.yaml --set search.trials=5",
        "searchlab study run studies/report-004.yaml --quick",
        "searchlab study run studies/quickstart.yaml --address auto --runs-dir /nfs",
        "searchlab study run examples/my_family.yaml --plugin examples/my_family.py",
    )
)
def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    overrides: SetOption = None,
    preset: PresetOption = None,
    quick: QuickOption = False,
    plugins: PluginOption = None,
    runs_dir: RunsDirOption = None,
    data_dir: DataDirOption = None,
    storage: StorageOption = None,
    engine: EngineOption = Engine.tune,
    address: AddressOption = None,
    join: JoinOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a study from its file.

    Trains the baselines, searches, confirms the best trials, and prints the leaderboard. Results
    go to runs/<name>/.
    """
    from searchlab.config.loading import load_study
    from searchlab.study.run_folder import RunFolder, default_runs_dir

    if quick and preset is not None:
        raise InputError(
            "cannot be combined with --preset", where="--quick", remedy="Give only one of them"
        )
    preset = "quick" if quick else preset
    file = load_study(study, overrides or (), preset=preset, plugins=plugins or ())
    folder = RunFolder(default_runs_dir(runs_dir) / file.spec.name)

    from searchlab.engine.launch import begin_study

    begin_study(file, folder, _drive(data_dir, storage, engine, address, join, quiet))
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
    search.timeout, search.max_failures_in_row, confirm.top and resources; more search.trials
    extend a finished study.
    """
    from searchlab.study.run_folder import default_runs_dir, find_run

    folder = find_run(run, default_runs_dir(runs_dir))
    for text in overrides or ():
        if not text.strip().startswith(_RESUMABLE):
            raise InputError(
                "can change only " + ", ".join(name.rstrip(".") for name in _RESUMABLE),
                where="--set on resume",
                found=text,
                remedy="Any other change makes another study: run it under another name",
            )

    from searchlab.engine.launch import resume_study

    options = _drive(data_dir, storage, engine, address, join, quiet)
    resume_study(folder, options, overrides=tuple(overrides or ()), plugins=plugins or ())
    _show_end(folder, storage, as_json)


def _drive(
    data_dir: Path | None,
    storage: str | None,
    engine: Engine,
    address: str | None,
    join: bool,
    quiet: bool,
) -> RunOptions:
    from searchlab.cli.decoding_progress import make_decoding_progress
    from searchlab.cli.progress import make_progress
    from searchlab.data import resolve_data_dir
    from searchlab.engine.launch import RunOptions

    if engine is Engine.serial and address is not None:
        raise InputError("needs Ray", where="--address", remedy="Remove it, or --engine serial")
    return RunOptions(
        data_dir=resolve_data_dir(data_dir),
        storage_url=storage,
        engine=engine.value,
        address=address,
        join=join,
        callback=make_progress(quiet),
        on_decoding=make_decoding_progress(quiet),
    )


def _show_end(folder: RunFolder, storage: str | None, as_json: bool) -> None:
    from searchlab.report.reading import read_study

    print_board(read_study(folder, storage), as_json=as_json)
    if not as_json:
        typer.echo(f"\nResults are in {folder.path}/. Open them with:")
        typer.echo(f"  searchlab dashboard {folder.path}")


register(app)
