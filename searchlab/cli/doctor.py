"""``searchlab doctor``: checks the environment, or a run for damage that nothing else reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.options import (
    DataDirOption,
    JsonOption,
    RunsDirOption,
    StorageOption,
    examples,
)
from searchlab.cli.terminal import make_console
from searchlab.exit_codes import ExitCode

if TYPE_CHECKING:
    from searchlab.doctor.checks import Check
    from searchlab.doctor.diagnosis import Diagnosis

__all__ = ["EXAMPLES", "doctor"]

EXAMPLES = examples(
    "searchlab doctor",
    "searchlab doctor quickstart",
    "searchlab doctor runs/quickstart --json",
)


def doctor(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="Run folder, or the run's name.", show_default="the environment"
        ),
    ] = None,
    *,
    data_dir: DataDirOption = None,
    storage: StorageOption = None,
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report problems, each with its remedy.

    Without RUN, doctor checks the environment: versions, GPUs, Ray, disks and data. With RUN, it
    checks the run's records for damage that no other command reports. It changes nothing. The exit
    code is 1 if there is a problem, else 0; warnings are not problems.
    """
    if run is None:
        checks = _check_environment(runs_dir, data_dir)
        _print_environment(checks, as_json=as_json)
        is_well = all(check.status != "problem" for check in checks)
    else:
        diagnosis = _diagnose(run, runs_dir, storage, data_dir)
        _print_diagnosis(diagnosis, as_json=as_json)
        is_well = diagnosis.num_problems == 0
    if not is_well:
        raise typer.Exit(ExitCode.NEGATIVE)


def _check_environment(runs_dir: Path | None, data_dir: Path | None) -> list[Check]:
    from searchlab.data import resolve_data_dir
    from searchlab.doctor.environment import check_environment
    from searchlab.records.run_folder import default_runs_dir

    return check_environment(
        runs_dir=default_runs_dir(runs_dir), data_dir=resolve_data_dir(data_dir)
    )


def _diagnose(
    run: str, runs_dir: Path | None, storage: str | None, data_dir: Path | None
) -> Diagnosis:
    from searchlab.data import resolve_data_dir
    from searchlab.doctor.diagnosis import diagnose
    from searchlab.records.run_folder import default_runs_dir, find_run
    from searchlab.report.reading import read_study

    reading = read_study(find_run(run, default_runs_dir(runs_dir)), storage)
    return diagnose(reading, data_dir=resolve_data_dir(data_dir))


def _print_environment(checks: list[Check], *, as_json: bool) -> None:
    from searchlab.doctor.diagnosis_text import environment_data, print_environment

    if as_json:
        typer.echo(json.dumps(environment_data(checks), indent=2))
    else:
        print_environment(make_console(), checks)


def _print_diagnosis(diagnosis: Diagnosis, *, as_json: bool) -> None:
    from searchlab.doctor.diagnosis_text import diagnosis_data, print_diagnosis

    if as_json:
        typer.echo(json.dumps(diagnosis_data(diagnosis), indent=2))
    else:
        print_diagnosis(make_console(), diagnosis)
