"""Flags made from the specs: a field's description, choices and default are its flag's help.

The specs need pydantic, and the families torch, so a command makes its flags when it is used: no
other command's ``--help`` waits for them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core
import typer.main

from searchlab.cli.options import COMMAND_GROUP, split_names
from searchlab.docstrings import docstring_of
from searchlab.errors import InputError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["Flag", "add_command", "flag_of_field", "make_flag", "read_value"]

Flag = inspect.Parameter
"""A flag as Typer reads it from a command's signature."""


def make_flag(
    name: str,
    description: str,
    *,
    choices: Iterable[object] = (),
    default: str = "",
    metavar: str,
    section: str | None = None,
    required: bool = False,
    repeatable: bool = False,
) -> Flag:
    """Return an optional or required flag of text, with the choices that its help lacks."""
    names = [str(choice) for choice in choices]
    if not all(choice in description for choice in names):
        description += f": {', '.join(names)}"
    if not names or not description.startswith(tuple(names)):
        description = description[:1].upper() + description[1:]
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=f"{description}.  [default: {default}]" if default else f"{description}.",
        metavar=metavar,
        show_default=False,
        rich_help_panel=section,
    )
    text: Any = list[str] if repeatable else str
    return Flag(
        name,
        Flag.KEYWORD_ONLY,
        default=Flag.empty if required else None,
        annotation=Annotated[text if required else text | None, option],
    )


def flag_of_field(name: str, field: FieldInfo) -> Flag:
    """Return the flag of a spec's field."""
    from searchlab.config.fields import analyse_field, list_choices

    kind, several = analyse_field(field)
    metavar = {int: "INTEGER", float: "NUMBER"}.get(kind, "NAMES" if several else "NAME")
    if fields := getattr(kind, "model_fields", None):
        first, *others = (one.upper() for one in fields)
        metavar = first + "".join(f"[:{one}" for one in others) + "]" * len(others)
    # A default that depends on other fields is in the description.
    is_known = not (field.is_required() or field.default_factory_takes_validated_data)
    default = field.get_default(call_default_factory=True) if is_known else None
    return make_flag(
        name,
        field.description or name,
        choices=list_choices(field),
        default=_describe(default),
        metavar=metavar,
        required=field.is_required(),
        repeatable=several,
    )


def read_value(given: Any, field: FieldInfo, option: str) -> Any:
    """Return what a flag's text stands for in a file; the spec checks it later.

    Several values have commas between, ``''`` is none of them; a mapping's fields have colons
    between, in their order: ``fgsm:0.1``.
    """
    from searchlab.config.documents import parse_scalar_or_tree
    from searchlab.config.fields import analyse_field

    kind, several = analyse_field(field)
    fields = getattr(kind, "model_fields", None)

    def read_one(text: str) -> Any:
        parts = text.split(":") if fields else [text]
        if fields and len(parts) > len(fields):
            rule = f"must be {':'.join(fields)}, of which only the first is required"
            raise InputError(rule, where=option, found=text)
        values = [one if kind is str else parse_scalar_or_tree(one, source=option) for one in parts]
        return dict(zip(fields, values, strict=False)) if fields else values[0]

    if not several:
        return read_one(given)
    values = [read_one(name) for text in given if text for name in split_names(text, option)]
    return values[0] if fields and len(values) == 1 else values


def _describe(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(_describe, default))
    if hasattr(type(default), "model_fields"):
        return _describe(next(iter(dict(default).values())))
    return "" if default is None else str(default)


def add_command(
    group: typer.Typer,
    function: Callable[..., None],
    *,
    make_flags: Callable[[], Iterable[Flag]],
    epilog: str,
) -> None:
    """Add ``function`` to a group of commands under its own name.

    It takes its own options, and as keywords the flags: text, or None if left out.
    """

    class Command(typer.core.TyperCommand):
        """Stands in the group's help; the command with its flags takes over once it is used."""

        def make_context(self, *arguments: Any, **settings: Any) -> Any:
            # Completion is installed by an option of searchlab, not of each command.
            app = typer.Typer(**COMMAND_GROUP, add_completion=False)
            with_flags = _with_flags(function, make_flags())
            app.command(function.__name__, cls=_SectionedCommand, epilog=epilog)(with_flags)
            return typer.main.get_command(app).make_context(*arguments, **settings)

    @group.command(function.__name__, cls=Command, epilog=epilog, help=docstring_of(function))
    def stand_in() -> None:
        raise AssertionError("the command with flags was called")


def _with_flags(function: Callable[..., None], flags: Iterable[Flag]) -> Callable[..., None]:
    """Return the function with flags in place of its ``**`` parameter, for Typer to read."""

    def call(*arguments: Any, **given: Any) -> None:
        function(*arguments, **given)

    signature = inspect.signature(function, eval_str=True)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    first = [one for one in own if one.kind is not one.KEYWORD_ONLY]
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*first, *flags, *own[len(first) :]]
    )
    call.__doc__ = docstring_of(function)
    return call


class _SectionedCommand(typer.core.TyperCommand):
    """Lists its options under their headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            is_option = parameter.param_type_name == "option"
            heading = getattr(parameter, "rich_help_panel", None) if is_option else "Arguments"
            if record := parameter.get_help_record(ctx):
                sections.setdefault(heading or "Options", []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
