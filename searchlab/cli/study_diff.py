"""``searchlab study diff``: the settings in which two studies differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.chosen_run import load_run_or_study
from searchlab.cli.completion import complete_run_or_study
from searchlab.cli.options import JsonOption, RunsDirOption, examples
from searchlab.cli.tables import print_table
from searchlab.exit_codes import ExitCode

if TYPE_CHECKING:
    from searchlab.config.flat_study import FieldDifference

__all__ = ["EXAMPLES", "diff"]

EXAMPLES = examples(
    "searchlab study diff photos photos-wide",
    "searchlab study diff studies/photos.yaml runs/photos",
    "searchlab study diff quickstart fashion-mnist --json",
)

_HELP = "A study file, a run folder, or the name of a run or study."


def diff(
    first: Annotated[
        str, typer.Argument(metavar="A", help=_HELP, autocompletion=complete_run_or_study)
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help=_HELP, autocompletion=complete_run_or_study)
    ],
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the settings in which two studies differ.

    Compares what the studies do, not how their files say it: a default equals the same value
    written out, and names do not count. Exits with 0 if the studies are the same, and with 1 if
    they differ.
    """
    from searchlab.config.flat_study import find_differences

    ours, theirs = (load_run_or_study(one, runs_dir).spec for one in (first, second))
    differences = find_differences(ours, theirs)
    if as_json:
        found = {"studies": [first, second], "differences": [_to_data(one) for one in differences]}
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
    elif differences:
        rows = [(one.place, _write(one.ours), _write(one.theirs)) for one in differences]
        print_table(("field", first, second), rows)
    else:
        typer.echo("The studies have the same settings.")
    raise typer.Exit(ExitCode.NEGATIVE if differences else ExitCode.DONE)


def _to_data(difference: FieldDifference) -> dict[str, object]:
    """Return a difference for JSON; a study that lacks the field has no value there."""
    values = {"a": difference.ours, "b": difference.theirs}
    return {"field": difference.place, **{k: v for k, v in values.items() if v is not ...}}


def _write(value: object) -> str:
    if value is ...:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)
