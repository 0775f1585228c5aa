"""``searchlab space new``: a space file from flags."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import typer

from searchlab.cli.files import check_writable, write_file
from searchlab.cli.options import ForceOption, examples, split_names
from searchlab.cli.value_text import parse_values
from searchlab.errors import InputError, did_you_mean

__all__ = ["EXAMPLES", "new"]

EXAMPLES = examples(
    "searchlab space new --family cnn --lr 1e-4:1e-1:log --depth 1:3 --width 16,32",
    "searchlab space new --family cnn,fcn --depth 1:4 --width 32,64 --each-layer width \\",
    "    --activation relu,gelu --dropout 0:0.7 --out spaces/both.yaml",
)


def _values(help_text: str) -> Any:
    return typer.Option(help=help_text, metavar="VALUES", show_default=False)


def new(
    *,
    family: Annotated[str, typer.Option(help="Families to choose from: cnn,fcn", metavar="NAMES")],
    name: Annotated[
        str | None, typer.Option(help="The space's name.", show_default="that of --out")
    ] = None,
    lr: Annotated[str | None, _values("Learning rate.")] = None,
    batch_size: Annotated[str | None, _values("Images per training step.")] = None,
    optimizer: Annotated[str | None, _values("sgd, adam, adamw.")] = None,
    momentum: Annotated[str | None, _values("Momentum of sgd.")] = None,
    weight_decay: Annotated[str | None, _values("Weight decay.")] = None,
    dropout: Annotated[str | None, _values("Probability of dropping an activation.")] = None,
    init: Annotated[str | None, _values("How weights begin: default, kaiming_normal, ...")] = None,
    depth: Annotated[str | None, _values("Number of layers.")] = None,
    width: Annotated[str | None, _values("Filters or units of a layer.")] = None,
    kernel: Annotated[str | None, _values("Side of a convolution's kernel.")] = None,
    activation: Annotated[str | None, _values("Activation: relu, sigmoid, ...")] = None,
    hidden: Annotated[str | None, _values("Units before the classifier; 0 for none.")] = None,
    scheme: Annotated[str | None, _values("First convolution layer: HF, HT, DT.")] = None,
    each_layer: Annotated[
        str | None,
        typer.Option(
            help="Parameters with one value per layer: width,kernel",
            metavar="NAMES",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="stdout")] = None,
    force: ForceOption = False,
) -> None:
    """Write a space file from flags.

    VALUES are one value (adam), a list (16,32,64), or a range low:high, low:high:log or
    low:high:step=N. A family takes those of the flags that it has parameters for.
    """
    shared = _parse_flags(
        lr=lr,
        batch_size=batch_size,
        optimizer=optimizer,
        momentum=momentum,
        weight_decay=weight_decay,
        dropout=dropout,
        init=init,
    )
    own = _parse_flags(
        depth=depth,
        width=width,
        kernel=kernel,
        activation=activation,
        hidden=hidden,
        scheme=scheme,
    )
    layered = split_names(each_layer, "--each-layer") if each_layer else []
    _wrap_each_layer(own, layered)
    families = _distribute(own, split_names(family, "--family"))
    data: dict[str, Any] = {"parameters": {**shared, "family": families}}
    name = name or (out.stem if out else None)
    _publish({"name": name, **data} if name else data, out, force=force)


def _parse_flags(**texts: str | None) -> dict[str, Any]:
    return {
        name: parse_values(text, f"--{name.replace('_', '-')}")
        for name, text in texts.items()
        if text is not None
    }


def _wrap_each_layer(own: dict[str, Any], layered: list[str]) -> None:
    for name in layered:
        if not isinstance(own.get(name), (list, dict)):
            raise InputError(
                "must name parameters that are given a list or a range",
                where="--each-layer",
                found=name,
                remedy=f"Example: --{name} 16,32,64 --each-layer {name}",
            )
        own[name] = {"each_layer": own[name]}


def _distribute(own: dict[str, Any], names: list[str]) -> dict[str, dict[str, Any]]:
    """Put each parameter under every named family that has it."""
    from searchlab.models import get_family, list_families

    known = {}
    for name in list_families():
        family = get_family(name)
        scheme = () if family.first_conv is None else ("scheme",)
        known[name] = (*family.parameters.field_names(), *scheme)
    for name in names:
        if name not in known:
            raise InputError("must name known families", where="--family", found=name,
                             remedy=did_you_mean(name, known))  # fmt: skip
    for parameter in own:
        if not any(parameter in known[name] for name in names):
            having = ", ".join(name for name in known if parameter in known[name])
            raise InputError(
                f"is not a parameter of {', '.join(names)}",
                where=f"--{parameter}",
                remedy=f"Families that have it: {having}",
            )
    return {
        # Copies: YAML would write what stands twice as an anchor and an alias.
        name: {key: deepcopy(value) for key, value in own.items() if key in known[name]}
        for name in names
    }


def _publish(data: dict[str, Any], out: Path | None, *, force: bool) -> None:
    """Check the space as if it were read back, then write or print it."""
    from searchlab.config.documents import Document, dump_yaml
    from searchlab.config.space import SpaceSpec
    from searchlab.config.validation import validate_document
    from searchlab.study.space_check import check_space

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
    typer.echo(f"wrote {out}: {space.size()}", err=True)
