"""``searchlab space new``: a space file from flags, one for everything that a space can search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from searchlab.cli.files import check_writable, write_file
from searchlab.cli.options import ForceOption, PluginOption, examples, load_plugins, split_names
from searchlab.cli.spec_flags import Flag, make_flag
from searchlab.cli.value_text import parse_values
from searchlab.errors import InputError, did_you_mean

__all__ = ["EXAMPLES", "make_flags", "new"]

EXAMPLES = examples(
    "searchlab space new --family cnn --lr 1e-4:0.1:log --depth 1:3 --width 16,32",
    "searchlab space new --family cnn,fcn --depth 1:4 --width 32,64 \\",
    "    --each-layer width --dropout 0:0.7 --out spaces/both.yaml",
    "searchlab space new --family 2conv1fc,resnet --augment none,flip+crop \\",
    "    --crop-padding 2:6 -p resnet.stem=small",
)


def new(
    *,
    family: Annotated[
        str,
        typer.Option(
            help="Families to choose from; `searchlab space families` lists them.", metavar="NAMES"
        ),
    ],
    each_layer: Annotated[
        str | None,
        typer.Option(
            help="Parameters with a value for each layer: width,kernel.",
            metavar="NAMES",
            show_default=False,
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            help="Parameter of one family (resnet.stem=small) or of a plugin's; may be repeated.",
            metavar="NAME=VALUES",
            show_default=False,
        ),
    ] = None,
    plugins: PluginOption = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the space.", show_default="that of --out")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="stdout")] = None,
    force: ForceOption = False,
    **flags: str | None,
) -> None:
    """Write a space file from flags.

    VALUES are one value (adam), a list (16,32,64), or a range low:high, low:high:log or
    low:high:step=N. Anything the space omits comes from the study's training section. Each family
    takes the flags that it has a parameter for.
    """
    load_plugins(plugins)
    given = {
        name: (f"--{name.replace('_', '-')}", text)
        for name, text in flags.items()
        if text is not None
    }
    _add_parameters(given, parameter or [])
    values = {name: parse_values(text, option) for name, (option, text) in given.items()}
    _wrap_each_layer(values, split_names(each_layer, "--each-layer") if each_layer else [])
    parameters = _arrange(values, split_names(family, "--family"), given)
    name = name or (out.stem if out else None)
    data = {"name": name} if name else {}
    _publish({**data, "parameters": parameters}, out, force=force)


def make_flags() -> Iterator[Flag]:
    """Yield a flag for every training setting that can be searched and every family's parameter."""
    from searchlab.config.fields import list_choices
    from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings
    from searchlab.models import get_family, list_families

    for name in SHARED_PARAMETERS:
        field = TrainingSettings.model_fields[name]
        yield make_flag(
            name,
            field.description or name,
            choices=list_choices(field),
            metavar="VALUES",
            section="Training",
        )
    having: dict[str, list[str]] = {}
    schemas: dict[str, dict[str, Any]] = {}
    for family in map(get_family, list_families()):
        for name, schema in family.value_schemas().items():
            if family.base is None:
                having.setdefault(name, []).append(family.name)
                schemas.setdefault(name, schema)
    for name, schema in schemas.items():
        yield make_flag(
            name,
            f"{schema['description']} ({', '.join(having[name])})",
            choices=("true", "false")
            if schema.get("type") == "boolean"
            else schema.get("enum", ()),
            metavar="VALUES",
            section="Architecture",
        )


Given = dict[str, tuple[str, str]]
"""The option that named each parameter, and its text."""


def _add_parameters(given: Given, texts: Iterable[str]) -> None:
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name or name.count(".") > 1:
            raise InputError(
                "must look like NAME=VALUES or FAMILY.NAME=VALUES",
                where="--parameter",
                found=text,
                remedy="Example: --parameter resnet.stem=small",
            )
        option = f"--parameter {name}"
        if name in given:
            raise InputError("is given twice", where=option, remedy="Keep one")
        given[name] = (option, values)


def _wrap_each_layer(values: dict[str, Any], layered: list[str]) -> None:
    for name in layered:
        if not isinstance(values.get(name), (list, dict)):
            raise InputError(
                "must name parameters that are given a list or a range",
                where="--each-layer",
                found=name,
                remedy=f"Example: --{name} 16,32,64 --each-layer {name}",
            )
        values[name] = {"each_layer": values[name]}


def _arrange(values: dict[str, Any], names: list[str], given: Given) -> dict[str, Any]:
    """Put each parameter at the top of the space, or under every named family that has it."""
    from searchlab.config.settings import SHARED_PARAMETERS
    from searchlab.models import get_family, list_families

    known = {name: get_family(name).value_schemas().keys() for name in list_families()}
    for name in names:
        if name not in known:
            remedy = did_you_mean(name, known)
            raise InputError(
                "must name known families", where="--family", found=name, remedy=remedy
            )
    shared: dict[str, Any] = {}
    families: dict[str, dict[str, Any]] = {name: {} for name in names}
    # Those of one family last: they replace what is given for all.
    for parameter, value in sorted(values.items(), key=lambda item: "." in item[0]):
        if parameter in SHARED_PARAMETERS:
            shared[parameter] = value
            continue
        family, _, own = parameter.rpartition(".")
        takers = [name for name in names if family in ("", name) and own in known[name]]
        if not takers:
            where = given[parameter][0]
            if family and family not in names:
                remedy = did_you_mean(family, names)
                raise InputError(
                    "must name a family of --family", where=where, found=family, remedy=remedy
                )
            rule = f"is not a parameter of {family or ', '.join(names)}"
            raise InputError(rule, where=where, remedy=_find_remedy(own, known))
        for name in takers:
            # Copies: YAML would write what stands twice as an anchor and an alias.
            families[name][own] = deepcopy(value)
    return {**shared, "family": families}


def _find_remedy(parameter: str, known: Mapping[str, Iterable[str]]) -> str:
    """Return which families have a parameter, or the names nearest to it."""
    from searchlab.config.settings import SHARED_PARAMETERS
    from searchlab.models import get_family

    having = [name for name in known if parameter in known[name] and not get_family(name).base]
    if having:
        return f"Families that have it: {', '.join(having)}"
    return did_you_mean(parameter, {*SHARED_PARAMETERS, *chain.from_iterable(known.values())})


def _publish(data: dict[str, Any], out: Path | None, *, force: bool) -> None:
    """Check the space as if it were read back, then write or print it."""
    from searchlab.config.documents import Document, dump_yaml
    from searchlab.config.space import SpaceSpec
    from searchlab.config.validation import validate_document
    from searchlab.search.space.space_check import check_space

    if out is not None:
        check_writable(out, force=force)
    document = Document(source="space new", data=data)
    space = validate_document(SpaceSpec, document)
    check_space(space, document)
    text = dump_yaml(data)
    if out is None:
        typer.echo(text, nl=False)
        return
    write_file(out, text)
    typer.echo(f"Wrote {out}: {space.size()}", err=True)
