"""``searchlab data``: lists datasets, downloads them, and decodes image files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from searchlab.cli.options import (
    COMMAND_GROUP,
    DataDirOption,
    JsonOption,
    PluginOption,
    RootOption,
    examples,
    load_plugins,
)
from searchlab.cli.tables import print_table
from searchlab.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searchlab.data import Dataset
    from searchlab.data.stale_entries import RemovedEntry

__all__ = ["app"]

app = typer.Typer(**COMMAND_GROUP, help="List, download and decode datasets.")

_UNKNOWN = "-"


@app.command("list", epilog=examples("searchlab data list", "searchlab data list --json"))
def list_(
    *, data_dir: DataDirOption = None, plugins: PluginOption = None, as_json: JsonOption = False
) -> None:
    """List the datasets, and whether each is on this machine."""
    from searchlab.data import count_images, get_dataset, list_datasets, resolve_data_dir

    load_plugins(plugins)
    root = resolve_data_dir(data_dir)
    datasets = [get_dataset(name) for name in list_datasets()]
    if as_json:
        typer.echo(json.dumps([_describe(dataset, root) for dataset in datasets], indent=2))
        return
    rows = [
        (
            dataset.name,
            _say_shape(dataset),
            str(dataset.facts.num_classes) if dataset.facts else _UNKNOWN,
            *map(_say_count, count_images(dataset.name, root)),
            _say_where(dataset, root),
        )
        for dataset in datasets
    ]
    print_table(("name", "shape", "classes", "train", "test", "there"), rows)
    typer.echo(f"\nData folder: {root}")
    if any(not dataset.is_present(root) for dataset in datasets):
        typer.echo("Download a missing one with: searchlab data fetch NAME")


def _describe(dataset: Dataset, root: Path) -> dict[str, Any]:
    from searchlab.data import count_images

    facts = dataset.facts
    num_train, num_test = count_images(dataset.name, root)
    return {
        "name": dataset.name,
        "image_shape": list(facts.image_shape) if facts else None,
        "classes": facts.num_classes if facts else None,
        "train": num_train,
        "test": num_test,
        "present": dataset.is_present(root),
        "place": str(root) if dataset.files else None,
        "summary": dataset.summary,
    }


def _say_shape(dataset: Dataset) -> str:
    if dataset.facts is not None:
        return "x".join(map(str, dataset.facts.image_shape))
    size = dataset.tree.default_size if dataset.tree is not None else None
    return f"3x{size}x{size}" if size else "3xSxS"


def _say_count(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}"


def _say_where(dataset: Dataset, root: Path) -> str:
    if dataset.root_is:
        return "your own"
    if not dataset.files:
        return "yes, installed"
    return "yes" if dataset.is_present(root) else "no"


@app.command(
    "fetch",
    epilog=examples(
        "searchlab data fetch fashion_mnist", "searchlab data fetch cifar10 --data-dir ~/datasets"
    ),
)
def fetch(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Dataset; `searchlab data list` lists them.")
    ],
    *,
    data_dir: DataDirOption = None,
    plugins: PluginOption = None,
) -> None:
    """Download a dataset.

    Files that are already there are kept.
    """
    from searchlab.data import get_dataset, resolve_data_dir

    load_plugins(plugins)
    dataset, root = get_dataset(name), resolve_data_dir(data_dir)
    if dataset.root_is:
        typer.echo(f"{name}: nothing to fetch: these are your own images")
    elif not dataset.files:
        typer.echo(f"{name}: nothing to fetch: an installed package includes it")
    elif dataset.is_present(root):
        typer.echo(f"{name}: already in {root}")
    elif not dataset.downloadable:
        raise InputError(
            "must be one that searchlab can download",
            where="searchlab data fetch",
            found=name,
            remedy=f"Put {' and '.join(dataset.files)} into {root}. Its source: {dataset.source}",
        )
    else:
        typer.echo(f"{name}: fetching from {dataset.source}", err=True)
        dataset.fetch(root)
        typer.echo(f"{name}: now in {root}")


@app.command(
    "cache",
    epilog=examples(
        "searchlab data cache imagenette --size 64",
        "searchlab data cache folder --root ~/photos --size 96 --skip-broken --prune",
    ),
)
def cache(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A dataset of image files, such as folder or imagenette."
        ),
    ],
    *,
    root: RootOption = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the images in pixels.", show_default="its own")
    ] = None,
    fit: Annotated[
        str, typer.Option(help="How a file becomes a square: crop, pad or stretch.")
    ] = "crop",
    skip_broken: Annotated[
        bool,
        typer.Option(
            "--skip-broken", help="Skip image files that cannot be decoded, and broken links."
        ),
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Then remove outdated copies of these files."),
    ] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode image files before a study needs them.

    A study decodes them itself the first time. The decoded copy is kept in .cache of the data
    folder, and you can delete it at any time. When the files change, the copy is outdated: --prune
    removes it, for this folder, size and fit.
    """
    from searchlab.cli.decoding_progress import make_decoding_progress
    from searchlab.config.dataset import Fit
    from searchlab.data import (
        DatasetRequest,
        get_dataset,
        load_dataset,
        prune_cache,
        resolve_data_dir,
    )
    from searchlab.data.request import UnusableFileError

    if get_dataset(name).tree is None:
        raise InputError(
            "must be a dataset of image files", where="searchlab data cache", found=name,
            remedy="Other datasets need no decoding",
        )  # fmt: skip
    if fit not in get_args(Fit):
        hint = did_you_mean(fit, get_args(Fit))
        raise InputError("must be crop, pad or stretch", where="--fit", found=fit, remedy=hint)
    request = DatasetRequest(
        name=name, root=root, size=size, fit=cast(Fit, fit), skip_broken=skip_broken
    )
    place = resolve_data_dir(data_dir)
    progress = make_decoding_progress(quiet=False)
    try:
        images = load_dataset(request, place, on_progress=progress)
    except UnusableFileError as error:
        remedy = "Repair or delete it, or skip all such files: --skip-broken"
        raise InputError(error.rule, where=error.where, remedy=remedy) from None
    removed = prune_cache(request, place) if prune else ()
    counts: dict[str, Any] = {
        "name": name,
        "image_shape": list(images.image_shape),
        "classes": images.num_classes,
        "train": len(images.train_labels),
        "test": len(images.test_labels),
        "skipped": images.num_skipped,
        "not_read": [
            {"reason": entry.reason.value[0], "count": entry.count, "example": entry.example}
            for entry in images.unread
        ],
    }
    if as_json:
        if prune:
            counts["removed"] = [
                {"path": str(entry.path), "bytes": entry.num_bytes} for entry in removed
            ]
        typer.echo(json.dumps(counts, indent=2))
        return
    shape = "x".join(map(str, images.image_shape))
    text = (
        f"{name}: {counts['train']:,} training and {counts['test']:,} test images of {shape} "
        f"in {images.num_classes} classes are ready"
    )
    if images.num_skipped:
        text += f"; skipped: {images.num_skipped:,}"
    if images.unread:
        text += f"; not read: {sum(entry.count for entry in images.unread):,}"
    typer.echo(text)
    if prune:
        _tell_of_removed(removed)


def _tell_of_removed(removed: Sequence[RemovedEntry]) -> None:
    for entry in removed:
        typer.echo(f"Removed {entry.path} ({_say_size(entry.num_bytes)})")
    if not removed:
        typer.echo("There was nothing outdated to remove.")
    elif len(removed) > 1:
        total = sum(entry.num_bytes for entry in removed)
        typer.echo(f"Removed {len(removed)} in total ({_say_size(total)})")


def _say_size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"
