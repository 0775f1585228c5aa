"""``searchlab weights``: the baselines' initial weights, checked and saved."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.chosen_run import load_run_or_study
from searchlab.cli.options import (
    COMMAND_GROUP,
    DataDirOption,
    JsonOption,
    RunsDirOption,
    examples,
)
from searchlab.cli.tables import print_table
from searchlab.errors import InputError

if TYPE_CHECKING:
    from searchlab.models.saved_weights import FoldKey
    from searchlab.report.weights_check import BaselineGrid, MemberCheck

__all__ = ["app"]

app = typer.Typer(**COMMAND_GROUP, help="Check and save the baselines' initial weights.")

RunOrStudyArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Run folder, the run's name, or a study file or its name.",
        show_default="the latest run",
    ),
]
FoldOption = Annotated[
    str | None, typer.Option(metavar="N|full", help="One fold, or full for the whole training set.")
]


@app.command(
    "check",
    epilog=examples(
        "searchlab weights check",
        "searchlab weights check quickstart --all-folds --json",
        "searchlab weights check quickstart --folder weights/",
    ),
)
def check(
    run: RunOrStudyArgument = None,
    *,
    fold: FoldOption = None,
    all_folds: Annotated[
        bool, typer.Option("--all-folds", help="Check every fold and full.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Also compare with the files that `weights save` wrote here.",
            show_default="the study's baselines.weights",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild the baselines' initial weights and compare them.

    Layer by layer, HF and HT must be equal, DT must differ from them only in the first convolution,
    and architectures with the same first layer must share its weights. Checks fold 0 unless you
    name another. The exit code is 1 if a comparison fails.
    """
    if fold is not None and all_folds:
        raise InputError(
            "cannot be combined with --all-folds", where="--fold", remedy="Give only one of them"
        )
    from searchlab.report.weights_check import require_all_ok

    grid = _open_grid(run, data_dir, runs_dir)
    members = grid.members if all_folds else (grid.parse_member(fold or "0"),)
    if folder is None and grid.spec.baselines.weights is not None:
        folder = Path(grid.spec.baselines.weights)
    checks = [grid.check(member, folder=folder) for member in members]
    if as_json:
        typer.echo(json.dumps(_to_data(grid, checks), indent=2, allow_nan=False))
    else:
        _print_checks(checks)
    require_all_ok(checks)
    if not as_json:
        typer.echo("\nAll comparisons are as expected.")


@app.command(
    "save",
    epilog=examples(
        "searchlab weights save quickstart",
        "searchlab weights save studies/quickstart.yaml --to weights/",
    ),
)
def save(
    run: RunOrStudyArgument = None,
    *,
    to: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("weights"),
    fold: FoldOption = None,
    data_dir: DataDirOption = None,
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save the baselines' initial weights.

    Writes a safetensors file for each model, of every fold and full unless --fold names one. It
    never overwrites a file: one with the same weights is kept, and one with other weights is an
    error.
    """
    grid = _open_grid(run, data_dir, runs_dir)
    members = grid.members if fold is None else (grid.parse_member(fold),)
    files = []
    for file in grid.save(to, members):
        files.append({"path": str(file.path), "kept": file.kept})
        if not as_json:
            typer.echo(f"{file.path}: {'kept (same weights)' if file.kept else 'saved'}")
    if as_json:
        typer.echo(json.dumps(files, indent=2))


def _open_grid(run: str | None, data_dir: Path | None, runs_dir: Path | None) -> BaselineGrid:
    from searchlab.config.plugins import load_plugins
    from searchlab.data import resolve_data_dir
    from searchlab.report.weights_check import BaselineGrid

    spec = load_run_or_study(run, runs_dir).spec
    load_plugins(spec.plugins)
    return BaselineGrid(spec, data_dir=resolve_data_dir(data_dir))


def _print_checks(checks: list[MemberCheck]) -> None:
    rows = [
        (
            _say_member(check.member),
            f"{row.one} - {row.other}",
            row.layer,
            f"{row.norm:.6g}",
            "0" if row.expected == "equal" else "> 0",
            "ok" if row.ok else "OFF",
        )
        for check in checks
        for row in check.comparisons
    ]
    if rows:
        print_table(("member", "pair", "layer", "norm of difference", "must be", ""), rows)


def _say_member(member: FoldKey) -> str:
    return f"fold {member}" if isinstance(member, int) else member


def _to_data(grid: BaselineGrid, checks: list[MemberCheck]) -> dict[str, object]:
    comparisons = [
        {
            "member": check.member,
            "pair": [row.one, row.other],
            "layer": row.layer,
            "tensors": row.tensors,
            "norm": row.norm if math.isfinite(row.norm) else None,
            "expected": row.expected,
            "ok": row.ok,
        }
        for check in checks
        for row in check.comparisons
    ]
    return {
        "study": grid.spec.name,
        "seed": grid.spec.search.seed,
        "ok": bool(comparisons) and all(entry["ok"] for entry in comparisons),
        "comparisons": comparisons,
    }
