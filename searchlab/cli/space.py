"""``searchlab space``: show, check and sample search spaces."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchlab.cli.completion import complete_space
from searchlab.cli.options import (
    COMMAND_GROUP,
    JsonOption,
    PluginOption,
    examples,
    load_plugins,
)
from searchlab.cli.tables import print_table
from searchlab.errors import CombinedInputError, InputError

if TYPE_CHECKING:
    from optuna.trial import Trial

    from searchlab.config.space import SpaceSpec
    from searchlab.search.space.points import Point

__all__ = ["app"]

app = typer.Typer(**COMMAND_GROUP, help="Write, show, check and sample search spaces.")

SpaceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SPACE",
        help="A space file (*.yaml), or the name of one in spaces/ or shipped.",
        autocompletion=complete_space,
    ),
]


@app.command(
    "show", epilog=examples("searchlab space show cnn", "searchlab space show spaces/cnn.yaml")
)
def show(file: SpaceArgument, *, plugins: PluginOption = None, as_json: JsonOption = False) -> None:
    """Print a space as a table, with its size."""
    load_plugins(plugins)
    space = _load_checked(file)
    rows = _describe(space)
    size = space.size()
    if as_json:
        parameters = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        typer.echo(
            json.dumps(
                {"name": space.name, "parameters": parameters, **_size_data(space)}, indent=2
            )
        )
        return
    print_table(_COLUMNS, rows)
    typer.echo(f"\n{size}")


@app.command("check", epilog=examples("searchlab space check spaces/*.yaml"))
def check(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="SPACE...",
            help="Space files (*.yaml), or their names.",
            autocompletion=complete_space,
        ),
    ],
    *,
    plugins: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check names, ranges and the families' parameters.

    Checks every file. The exit code is 2 if one is wrong.
    """
    load_plugins(plugins)
    errors: list[InputError] = []
    good: list[dict[str, Any]] = []
    for file in files:
        try:
            space = _load_checked(file)
        except InputError as error:
            errors.append(error)
            continue
        good.append({"file": file, **_size_data(space)})
        if not as_json:
            typer.echo(f"{file}: ok, {space.size()}")
    if as_json:
        typer.echo(json.dumps({"ok": good, "errors": list(map(str, errors))}, indent=2))
    if errors:
        raise CombinedInputError(errors)


@app.command(
    "sample",
    epilog=examples(
        "searchlab space sample spaces/cnn.yaml -n 5",
        "searchlab space sample spaces/cnn.yaml --dataset usps --seed 1 --json",
    ),
)
def sample(
    file: Annotated[
        str,
        typer.Argument(
            metavar="SPACE",
            help="A space file (*.yaml), its name, or module:function.",
            autocompletion=complete_space,
        ),
    ],
    *,
    number: Annotated[int, typer.Option("-n", min=1, help="Number of configurations.")] = 5,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed draws the same configurations.")
    ] = 0,
    dataset: Annotated[
        str | None, typer.Option(help="Dataset whose images the parameters are counted for.")
    ] = None,
    image_shape: Annotated[
        str | None,
        typer.Option(
            metavar="CxHxW",
            help="Shape of the images, instead of --dataset.",
            show_default="1x28x28",
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Number of classes.", show_default="10")
    ] = None,
    plugins: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw configurations, with parameter counts."""
    load_plugins(plugins)
    shape, num_classes = _images(dataset, image_shape, classes)
    points = _draw(_open_source(file), number, seed)
    samples = [(point, _count(point, shape, num_classes)) for point in points]
    if as_json:
        drawn = [{"num_parameters": count, "parameters": point} for point, count in samples]
        typer.echo(json.dumps(drawn, indent=2))
        return
    from searchlab.config.nodes import write_value

    for index, (point, count) in enumerate(samples):
        typer.echo(f"{index}: {count:,} parameters")
        for name, value in point.items():
            typer.echo(f"    {name}: {write_value(value)}")


def _is_function(file: str) -> bool:
    """Return whether the text is ``package.module:function``, not a path."""
    module, colon, name = file.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), name))


def _open_source(file: str) -> Callable[[Trial], Point]:
    """Return a function that draws a trial's point from a space file or a Python function."""
    if _is_function(file):
        from searchlab.search.space.callable_space import load_callable, to_point

        function = load_callable(file)
        return lambda trial: to_point(file, function(trial))
    from searchlab.search.space.points import suggest

    space = _load_checked(file)
    return lambda trial: suggest(trial, space)


def _load_checked(file: str) -> SpaceSpec:
    if _is_function(file):
        raise InputError(
            "must be a space file (*.yaml), because a Python function does not declare its space",
            where="SPACE",
            found=file,
            remedy="Write one with: searchlab space new",
        )
    from searchlab.config.loading import load_space
    from searchlab.config.shipped import find_space
    from searchlab.search.space.space_check import check_space

    loaded = load_space(find_space(file))
    check_space(loaded.space, loaded.document)
    return loaded.space


_COLUMNS = ("parameter", "kind", "values", "family")


def _describe(space: SpaceSpec) -> list[tuple[str, str, str, str]]:
    shared = {**space.shared, "family": space.family}
    rows = [(name, *node.describe(), "all") for name, node in shared.items()]
    for family, own in space.families.items():
        rows += [(f"{family}.{name}", *leaf.describe(), family) for name, leaf in own.items()]
    return rows


def _size_data(space: SpaceSpec) -> dict[str, int]:
    size = space.size()
    return {"configurations": size.discrete, "continuous_parameters": size.num_continuous}


def _draw(source: Callable[[Trial], Point], number: int, seed: int) -> list[Point]:
    import optuna

    from searchlab.config.seeds import derive_seed

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=derive_seed(seed, "sample") % 2**32)
    study = optuna.create_study(sampler=sampler)
    return [source(study.ask()) for _ in range(number)]


def _count(point: Point, shape: tuple[int, int, int], num_classes: int) -> int:
    from searchlab.models.build import count_parameters
    from searchlab.study.trial_config import model_at

    return count_parameters(model_at(point), image_shape=shape, num_classes=num_classes)


def _images(
    dataset: str | None, image_shape: str | None, classes: int | None
) -> tuple[tuple[int, int, int], int]:
    if dataset is None:
        return _parse_shape(image_shape or "1x28x28"), classes or 10
    if image_shape is not None or classes is not None:
        raise InputError("already sets the images' shape and classes", where="--dataset",
                         remedy="Remove --image-shape and --classes")  # fmt: skip
    from searchlab.data import get_dataset

    known = get_dataset(dataset)
    return known.image_shape, known.num_classes


def _parse_shape(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(
        part.isascii() and part.isdigit() and int(part) for part in parts
    ):
        raise InputError(
            "must be channels x height x width, each at least 1",
            where="--image-shape",
            found=text,
            remedy="Example: 1x28x28",
        )
    channels, height, width = map(int, parts)
    return channels, height, width
