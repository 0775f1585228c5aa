"""``searchlab schema``: JSON Schemas for editors."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from searchlab.cli.options import PluginOption, examples, load_plugins

__all__ = ["EXAMPLES", "schema"]

EXAMPLES = examples(
    "searchlab schema space > space.schema.json",
    "searchlab schema study > study.schema.json",
    "searchlab schema space --plugin examples/my_family.py",
)


class FileKind(StrEnum):
    """The kinds of file that users write."""

    SPACE = "space"
    STUDY = "study"


def schema(
    kind: Annotated[FileKind, typer.Argument(help="Kind of file.")],
    plugins: PluginOption = None,
) -> None:
    """Print the JSON Schema of a kind of file.

    Editors use it to complete and check spaces and studies. It holds the names that this
    installation knows: families and their parameters, datasets and samplers.
    """
    from searchlab.study.schema import space_schema, study_schema

    load_plugins(plugins)
    document = space_schema() if kind is FileKind.SPACE else study_schema()
    typer.echo(json.dumps(document, indent=2))
