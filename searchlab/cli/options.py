"""What several commands share: option types, settings of help texts, lists of names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

from searchlab.cli.completion import complete_run
from searchlab.errors import InputError

__all__ = [
    "COMMAND_GROUP",
    "DataDirOption",
    "ForceOption",
    "JsonOption",
    "PluginOption",
    "RootOption",
    "RunArgument",
    "RunsDirOption",
    "StorageOption",
    "examples",
    "load_plugins",
    "split_names",
]


class _GroupSettings(TypedDict):
    no_args_is_help: bool
    rich_markup_mode: None
    pretty_exceptions_enable: bool
    context_settings: dict[str, Any]


COMMAND_GROUP: _GroupSettings = {
    "no_args_is_help": True,
    # Rich would double the time of --help and rewrap the examples.
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        # Else click removes what looks like a colour from names, before it can be escaped.
        "color": True,
    },
}
"""Settings of every ``typer.Typer`` of the command line."""

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Run folder, or the run's name.", autocompletion=complete_run
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(help="Folder of datasets.  [env: SEARCHLAB_DATA]", show_default="user cache"),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        help="For dataset folder: the folder that contains the class folders; for table and "
        "arrays: the file; for huggingface: the folder that save_to_disk wrote.",
        show_default=False,
    ),
]
RunsDirOption = Annotated[
    Path | None,
    typer.Option(help="Folder of runs.  [env: SEARCHLAB_RUNS]", show_default="runs"),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        help="Optuna storage URL, if it is not the run's own.  [env: SEARCHLAB_STORAGE]",
        envvar="SEARCHLAB_STORAGE",
        show_envvar=False,
        show_default=False,
    ),
]
PluginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="FILE.py",
        help="Python file or module that registers families or datasets; may be repeated.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")]


def examples(*commands: str) -> str:
    """Return an epilog that lists ``commands``; the backspace keeps click from wrapping them."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


def load_plugins(references: list[str] | None) -> None:
    """Import installed plugins and those of ``--plugin``. Raises InputError."""
    from searchlab.config import plugins

    plugins.load_plugins(references or ())


def split_names(text: str, option: str) -> list[str]:
    """Split ``a,b,c`` into names. Raises InputError for an empty one."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError("must be names separated by commas", where=option, found=text)
    return names
