"""``searchlab data``: which datasets there are, and fetching them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.options import COMMAND_GROUP, DataDirOption, JsonOption, examples
from searchlab.cli.tables import print_table

if TYPE_CHECKING:
    from searchlab.data import Dataset

__all__ = ["app"]

app = typer.Typer(**COMMAND_GROUP, help="List the datasets and fetch them.")


@app.command("list", epilog=examples("searchlab data list", "searchlab data list --json"))
def list_(*, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the datasets, and whether they are there."""
    from searchlab.data import get_dataset, list_datasets, resolve_data_dir

    root = resolve_data_dir(data_dir)
    datasets = [get_dataset(name) for name in list_datasets()]
    if as_json:
        entries = [
            {
                "name": dataset.name,
                "image_shape": list(dataset.image_shape),
                "classes": dataset.num_classes,
                "train": dataset.num_train,
                "test": dataset.num_test,
                "present": dataset.is_present(root),
                "place": str(root) if dataset.files else None,
                "summary": dataset.summary,
            }
            for dataset in datasets
        ]
        typer.echo(json.dumps(entries, indent=2))
        return
    rows = [
        (
            dataset.name,
            "x".join(map(str, dataset.image_shape)),
            str(dataset.num_classes),
            f"{dataset.num_train:,}",
            f"{dataset.num_test:,}",
            _say_where(dataset, root),
        )
        for dataset in datasets
    ]
    print_table(("name", "shape", "classes", "train", "test", "there"), rows)
    typer.echo(f"\ndata folder: {root}")
    if any(not dataset.is_present(root) for dataset in datasets):
        typer.echo("get what is missing with: searchlab data fetch NAME")


def _say_where(dataset: Dataset, root: Path) -> str:
    if not dataset.files:
        return "yes, installed"
    return "yes, in the data folder" if dataset.is_present(root) else "no"


@app.command(
    "fetch",
    epilog=examples(
        "searchlab data fetch fashion_mnist", "searchlab data fetch usps --data-dir ~/datasets"
    ),
)
def fetch(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A dataset of `searchlab data list`.")
    ],
    *,
    data_dir: DataDirOption = None,
) -> None:
    """Download a dataset.

    What is there already is left alone.
    """
    from searchlab.data import get_dataset, resolve_data_dir

    dataset, root = get_dataset(name), resolve_data_dir(data_dir)
    if not dataset.downloadable:
        typer.echo(f"{name}: nothing to fetch, it comes with an installed package")
    elif dataset.is_present(root):
        typer.echo(f"{name}: already in {root}")
    else:
        typer.echo(f"{name}: fetching from {dataset.source}", err=True)
        dataset.fetch(root)
        typer.echo(f"{name}: now in {root}")
