"""``searchlab space families``: the architectures, and the parameters that each can search."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchlab.cli.options import JsonOption, PluginOption, examples, load_plugins
from searchlab.cli.tables import print_table

if TYPE_CHECKING:
    from searchlab.models import Family

__all__ = ["EXAMPLES", "families"]

EXAMPLES = examples(
    "searchlab space families",
    "searchlab space families cnn",
    "searchlab space families separable --plugin examples/my_family.py",
)


def families(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show only this family, in full.", show_default=False),
    ] = None,
    *,
    plugins: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the families of architectures, presets included.

    A preset is a family with other defaults. All its parameters can be searched.
    """
    load_plugins(plugins)
    from searchlab.models import get_family, list_families

    found = [get_family(one) for one in (list_families() if name is None else [name])]
    found.sort(key=lambda family: (family.base or family.name, family.base is not None))
    if as_json:
        described = [_describe(family) for family in found]
        typer.echo(json.dumps(described if name is None else described[0], indent=2))
    elif name is None:
        print_table(
            ("family", "preset of", "schemes", "what it is"),
            [_row(family) for family in found],
        )
        typer.echo("\nShow a family's parameters with: searchlab space families NAME")
    else:
        _print_family(found[0])


def _row(family: Family) -> tuple[str, ...]:
    return family.name, family.base or "", _schemes(family), family.summary.rstrip(".")


def _schemes(family: Family) -> str:
    return "DT" if family.first_conv is None else "HF, HT, DT"


def _print_family(family: Family) -> None:
    """Print a line for each parameter and its meaning below, because a table would be too wide."""
    preset = f" Preset of {family.base}." if family.base else ""
    typer.echo(_wrap(f"{family.name}: {family.summary.rstrip('.')}.{preset}", indent=""))
    own = family.parameters
    schemas = family.value_schemas()
    for name, schema in schemas.items():
        default = "DT" if name == "scheme" else _write(own.default_value(name))
        layered = "; each_layer" if name in own.per_layer_fields() else ""
        typer.echo(f"\n{name}: {_describe_values(schema)} (default: {default}{layered})")
        typer.echo(_wrap(schema["description"], indent="    "))
    if not schemas:
        typer.echo("\nThis family has no parameters of its own.")


def _wrap(text: str, *, indent: str) -> str:
    return textwrap.fill(text, 80, initial_indent=indent, subsequent_indent=indent)


def _describe_values(schema: dict[str, Any]) -> str:
    """Return what a value may be, from its JSON Schema."""
    if "enum" in schema:
        return ", ".join(map(_write, schema["enum"]))
    if "const" in schema:
        return _write(schema["const"])
    if schema.get("type") == "boolean":
        return "true, false"
    low = _bound(schema, "minimum", "exclusiveMinimum", "above")
    high = _bound(schema, "maximum", "exclusiveMaximum", "below")
    if low and high:
        return f"{low} to {high}"
    one_sided = f"at least {low}" if low else f"at most {high}" if high else ""
    return one_sided or {"string": "text"}.get(str(schema.get("type")), "see the meaning")


def _bound(schema: dict[str, Any], closed: str, open_: str, word: str) -> str:
    if closed in schema:
        return _write(schema[closed])
    return f"{word} {_write(schema[open_])}" if open_ in schema else ""


def _write(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_write, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _describe(family: Family) -> dict[str, Any]:
    own = family.parameters
    return {
        "name": family.name,
        "preset_of": family.base,
        "summary": family.summary,
        "schemes": _schemes(family).split(", "),
        "parameters": [
            {
                "name": name,
                "default": own.default_value(name),
                "each_layer": name in own.per_layer_fields(),
                "values": own.value_schema(name),
                "help": own.help_text(name),
            }
            for name in own.field_names()
        ],
    }
