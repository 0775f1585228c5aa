"""``searchlab space new``: a space file from flags."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import typer

from searchlab.cli.files import check_writable, write_file
from searchlab.cli.options import ForceOption, PluginOption, examples, load_plugins, split_names
from searchlab.cli.value_text import parse_values
from searchlab.errors import InputError, did_you_mean

__all__ = ["EXAMPLES", "new"]

EXAMPLES = examples(
    "searchlab space new --family cnn --lr 1e-4:1e-1:log --depth 1:3 --width 16,32",
    "searchlab space new --family cnn,fcn --depth 1:4 --width 32,64 --each-layer width \\",
    "    --activation relu,gelu --dropout 0:0.7 --out spaces/both.yaml",
    "searchlab space new --family 2conv1fc,resnet --optimizer adam,sgd --augment none,flip+crop \\",
    "    --schedule constant,cosine --label-smoothing 0:0.2 -p crop_padding=2:6 \\",
    "    -p resnet.stem=small",
)


def _values(help_text: str) -> Any:
    return typer.Option(help=help_text, metavar="VALUES", show_default=False)


def new(
    *,
    family: Annotated[
        str,
        typer.Option(
            help="Families to choose from, as in `searchlab space families`.", metavar="NAMES"
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="The space's name.", show_default="that of --out")
    ] = None,
    lr: Annotated[str | None, _values("Learning rate.")] = None,
    batch_size: Annotated[str | None, _values("Images per training step.")] = None,
    optimizer: Annotated[str | None, _values("sgd, adam, adamw, rmsprop.")] = None,
    momentum: Annotated[str | None, _values("Momentum of sgd and rmsprop.")] = None,
    weight_decay: Annotated[str | None, _values("L2 penalty; adamw: decoupled decay.")] = None,
    schedule: Annotated[str | None, _values("constant, cosine, step, one_cycle.")] = None,
    warmup_epochs: Annotated[str | None, _values("Epochs of a linear rise to lr.")] = None,
    dropout: Annotated[str | None, _values("Probability of dropping an activation.")] = None,
    init: Annotated[str | None, _values("How weights begin: default, kaiming_normal, ...")] = None,
    label_smoothing: Annotated[str | None, _values("Share spread over all classes.")] = None,
    augment: Annotated[
        str | None, _values("none, or flip, rotate, jitter, crop, cutout, joined by +.")
    ] = None,
    adversarial: Annotated[str | None, _values("Train on attacks: none, fgsm, pgd.")] = None,
    epsilon: Annotated[str | None, _values("The attack's largest change of a pixel.")] = None,
    depth: Annotated[str | None, _values("Number of layers.")] = None,
    width: Annotated[str | None, _values("Filters or units of a layer.")] = None,
    kernel: Annotated[str | None, _values("Side of a convolution's kernel.")] = None,
    pool: Annotated[str | None, _values("2 for 2x2 pooling after a block, 1 for none.")] = None,
    stride: Annotated[str | None, _values("Pixels between two positions (local).")] = None,
    activation: Annotated[str | None, _values("Activation: relu, sigmoid, ...")] = None,
    batch_norm: Annotated[str | None, _values("Batch normalisation: true, false.")] = None,
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
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            help="Any other parameter, or one of one family: resnet.stem=small; may be repeated.",
            metavar="NAME=VALUES",
            show_default=False,
        ),
    ] = None,
    plugins: PluginOption = None,
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="stdout")] = None,
    force: ForceOption = False,
) -> None:
    """Write a space file from flags.

    VALUES are one value (adam), a list (16,32,64), or a range low:high, low:high:log or
    low:high:step=N. A family takes those of the flags that it has parameters for.
    """
    load_plugins(plugins)
    given = _parse_flags(
        lr=lr,
        batch_size=batch_size,
        optimizer=optimizer,
        momentum=momentum,
        weight_decay=weight_decay,
        schedule=schedule,
        warmup_epochs=warmup_epochs,
        dropout=dropout,
        init=init,
        label_smoothing=label_smoothing,
        augment=augment,
        adversarial=adversarial,
        epsilon=epsilon,
        depth=depth,
        width=width,
        kernel=kernel,
        pool=pool,
        stride=stride,
        activation=activation,
        batch_norm=batch_norm,
        hidden=hidden,
        scheme=scheme,
    )
    _add_parameters(given, parameter or [])
    _wrap_each_layer(given, split_names(each_layer, "--each-layer") if each_layer else [])
    shared, own = _part_shared(given)
    families = _distribute(own, split_names(family, "--family"))
    data: dict[str, Any] = {"parameters": {**shared, "family": families}}
    name = name or (out.stem if out else None)
    _publish({"name": name, **data} if name else data, out, force=force)


def _parse_flags(**texts: str | None) -> dict[str, Any]:
    return {
        name: parse_values(text, _flag(name)) for name, text in texts.items() if text is not None
    }


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _add_parameters(given: dict[str, Any], texts: list[str]) -> None:
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name or name.count(".") > 1:
            raise InputError(
                "must look like NAME=VALUES or FAMILY.NAME=VALUES",
                where="--parameter",
                found=text,
                remedy="Example: --parameter crop_padding=2:6",
            )
        if name in given:
            raise InputError("is given twice", where=f"--parameter {name}", remedy="Keep one")
        given[name] = parse_values(values, f"--parameter {name}")


def _wrap_each_layer(given: dict[str, Any], layered: list[str]) -> None:
    for name in layered:
        if not isinstance(given.get(name), (list, dict)):
            raise InputError(
                "must name parameters that are given a list or a range",
                where="--each-layer",
                found=name,
                remedy=f"Example: --{name} 16,32,64 --each-layer {name}",
            )
        given[name] = {"each_layer": given[name]}


def _part_shared(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part what all families share from what stands under a family."""
    from searchlab.config.settings import SHARED_PARAMETERS

    shared = {name: value for name, value in given.items() if name in SHARED_PARAMETERS}
    own = {name: value for name, value in given.items() if name not in SHARED_PARAMETERS}
    return shared, own


def _distribute(own: dict[str, Any], names: list[str]) -> dict[str, dict[str, Any]]:
    """Put each parameter under every named family that has it, or under the one it names."""
    from searchlab.models import list_families

    known = {name: _parameters_of(name) for name in list_families()}
    for name in names:
        if name not in known:
            raise InputError("must name known families", where="--family", found=name,
                             remedy=did_you_mean(name, known))  # fmt: skip
    families: dict[str, dict[str, Any]] = {name: {} for name in names}
    # Those of one family last: they take the place of what is said for all.
    for parameter, value in sorted(own.items(), key=lambda item: "." in item[0]):
        family, _, bare = parameter.rpartition(".")
        takers = [family] if family else [name for name in names if bare in known[name]]
        if not takers or bare not in known.get(takers[0], ()) or takers[0] not in families:
            raise _misplaced(parameter, names, known)
        for name in takers:
            # Copies: YAML would write what stands twice as an anchor and an alias.
            families[name][bare] = deepcopy(value)
    return families


def _parameters_of(name: str) -> tuple[str, ...]:
    from searchlab.models import get_family

    family = get_family(name)
    return (*family.parameters.field_names(), *(("scheme",) if family.first_conv else ()))


def _misplaced(parameter: str, names: list[str], known: dict[str, tuple[str, ...]]) -> InputError:
    """Return the error for a parameter that none of the families in question has."""
    from searchlab.config.settings import SHARED_PARAMETERS
    from searchlab.models import get_family

    family, _, bare = parameter.rpartition(".")
    where = _flag(parameter) if parameter in _OWN_FLAGS else f"--parameter {parameter}"
    if family and family not in names:
        return InputError(
            "must name a family of --family", where=where, found=family,
            remedy=did_you_mean(family, names),
        )  # fmt: skip
    having = [name for name in known if bare in known[name] and get_family(name).base is None]
    if having:
        remedy = f"Families that have it: {', '.join(having)}"
    else:
        everything = {one for own in known.values() for one in own}
        remedy = did_you_mean(bare, everything.union(SHARED_PARAMETERS))
    of = family or ", ".join(names)
    return InputError(f"is not a parameter of {of}", where=where, remedy=remedy)


_OWN_FLAGS = (
    "depth", "width", "kernel", "pool", "stride", "activation", "batch_norm", "hidden", "scheme",
)  # fmt: skip


def _publish(data: dict[str, Any], out: Path | None, *, force: bool) -> None:
    """Check the space as if it were read back, then write or print it."""
    from searchlab.config.documents import Document, dump_yaml
    from searchlab.config.space import SpaceSpec
    from searchlab.config.validation import validate_document
    from searchlab.study.space.space_check import check_space

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
