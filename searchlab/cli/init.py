"""``searchlab init``: the studies, spaces and examples that come with searchlab, as own files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from searchlab.cli.files import writing
from searchlab.cli.options import examples
from searchlab.errors import CombinedInputError, InputError

__all__ = ["EXAMPLES", "init"]

EXAMPLES = examples("searchlab init", "searchlab init demo")

_ELSEWHERE = "Choose another folder: searchlab init DIR"


def init(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder to lay them out in; made if it is not there."),
    ] = Path(),
) -> None:
    """Lay out the studies, spaces and examples.

    They come with searchlab, and are yours to change: in DIR, a name such as quickstart stands for
    your own file. No file is overwritten. If one with other content is in the way, nothing is
    written and the exit code is 2; the command can be repeated otherwise.
    """
    from searchlab.config.shipped import FOLDERS, shipped_files, shipped_root
    from searchlab.training.durable_files import replace_file, write_bytes

    root = shipped_root()
    files = {folder / file: (root / file).read_bytes() for file in shipped_files()}
    missing = _find_missing(files, folder)
    for path in missing:
        with writing(path, remedy=_ELSEWHERE):
            replace_file(path, partial(write_bytes, content=files[path]))
    kept = len(files) - len(missing)
    kept_text = f"; {kept} files were there already" if kept else ""
    names = ", ".join(f"{name}/" for name in FOLDERS)
    written = f"{len(missing)} file{'s' if len(missing) != 1 else ''}"
    typer.echo(f"Wrote {written} into {names} of {folder}/{kept_text}\n\nNext:")
    steps = _next_steps(folder)
    width = max(len(command) for command, _ in steps)
    for command, purpose in steps:
        typer.echo(f"  {command:{width}}  # {purpose}")


def _find_missing(files: Mapping[Path, bytes], folder: Path) -> list[Path]:
    """Return the files that are not there yet. Raises InputError if others are in the way."""
    missing: list[Path] = []
    in_the_way: dict[Path, str] = {}
    for path, content in files.items():
        above = [parent for parent in path.parents if parent.is_relative_to(folder)]
        if no_folders := [one for one in above if os.path.lexists(one) and not one.is_dir()]:
            in_the_way[no_folders[-1]] = "is not a folder"
        elif not os.path.lexists(path):
            missing.append(path)
        elif not path.is_file() or path.read_bytes() != content:
            in_the_way[path] = "is there already, with other content"
    if in_the_way:
        errors = [InputError(rule, where=str(path)) for path, rule in in_the_way.items()]
        last = errors.pop()
        errors.append(InputError(f"{last.rule}. Nothing was written", where=last.where,
                                 remedy=_ELSEWHERE))  # fmt: skip
        raise CombinedInputError(errors)
    return missing


def _next_steps(folder: Path) -> list[tuple[str, str]]:
    enter = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    return [
        (f"{enter}searchlab study run quickstart", "a whole study, in a minute"),
        ("searchlab dashboard quickstart", "its trials, in the browser"),
        ("searchlab study new --help", "a study of your own images"),
    ]
