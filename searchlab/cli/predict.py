"""``searchlab predict``: image files through an exported model."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchlab.cli.options import JsonOption, PluginOption, examples, load_plugins
from searchlab.cli.tables import print_table
from searchlab.control_characters import escape_line
from searchlab.errors import InputError, SearchlabError

if TYPE_CHECKING:
    from searchlab.deployment.prediction import Prediction

__all__ = ["EXAMPLES", "predict"]

EXAMPLES = examples(
    "searchlab predict digits-model photos/",
    "searchlab predict digits-model a.png b.jpg --top 1",
    "searchlab predict digits-model images.npy",
    "searchlab predict digits-model photos/ --csv > answers.csv",
)


def predict(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL_DIR", help="Folder that `searchlab export` wrote.")
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES...", help="Image files, folders of them, or .npy files of images."
        ),
    ],
    *,
    top: Annotated[int, typer.Option(min=1, help="Likeliest classes to show.")] = 3,
    as_csv: Annotated[
        bool,
        typer.Option("--csv", help="Print CSV: path, label, probability, then the next classes."),
    ] = False,
    plugins: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify images with an exported model.

    Folders are searched at any depth. Files are decoded and made square as the training images
    were; arrays are uint8, or else scaled as the training images were. An image that cannot be
    read is named on stderr, the others go on, and the exit code is then 1.
    """
    if as_csv and as_json:
        raise InputError(
            "cannot be combined with --json", where="--csv", remedy="Give only one of them"
        )
    load_plugins(plugins)
    from searchlab.cli.decoding_progress import make_classifying_progress
    from searchlab.data.single_images import find_images
    from searchlab.data.unread_files import describe_unread
    from searchlab.deployment.loaded_models import load_exported
    from searchlab.deployment.prediction import (
        check_takes_files,
        classify_array,
        classify_files,
    )

    loaded = load_exported(model)
    arrays = [place for place in images if place.suffix == ".npy"]
    if len(arrays) < len(images):
        check_takes_files(loaded.description.input, where=str(model))
    found = find_images(place for place in images if place not in arrays)
    if not found.paths and not arrays:
        raise InputError(
            "must contain an image",
            where=", ".join(map(str, images)),
            remedy=f"They hold {describe_unread(found.unread)}" if found.unread else None,
        )
    top = min(top, len(loaded.description.classes))
    answers = [one for place in arrays for one in classify_array(loaded, place, top=top)]
    answers += classify_files(loaded, found.paths, top=top, on_progress=make_classifying_progress())
    if as_json:
        _print_json(loaded.description.title, answers)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_headers(top))
        writer.writerows(_cells(one, "{:.6f}") for one in answers if one.fault is None)
    elif any(one.fault is None for one in answers):
        rows = [_cells(one, "{:.4f}") for one in answers if one.fault is None]
        print_table(_headers(top), rows)
    if found.unread:
        typer.echo(f"not read: {describe_unread(found.unread)}", err=True)
    _tell_of_faults(answers)


def _headers(top: int) -> list[str]:
    more = [f"{name}_{place}" for place in range(2, top + 1) for name in ("label", "probability")]
    return ["path", "label", "probability", *more]


def _cells(one: Prediction, number: str) -> list[str]:
    cells = [cell for label, share in one.ranked for cell in (label, number.format(share))]
    return [str(one.path), *cells]


def _print_json(title: str, answers: Sequence[Prediction]) -> None:
    predictions: list[dict[str, Any]] = [
        {
            "path": str(one.path),
            "label": one.ranked[0][0],
            "probability": one.ranked[0][1],
            "top": [{"label": label, "probability": share} for label, share in one.ranked],
        }
        for one in answers
        if one.fault is None
    ]
    failed = [
        {"path": str(one.path), "reason": one.fault} for one in answers if one.fault is not None
    ]
    data = {"model": title, "predictions": predictions, "failed": failed}
    typer.echo(json.dumps(data, indent=2, allow_nan=False))


def _tell_of_faults(answers: Sequence[Prediction]) -> None:
    failed = [one for one in answers if one.fault is not None]
    for one in failed:
        typer.echo(f"{escape_line(str(one.path))} {one.fault}", err=True)
    if failed:
        raise SearchlabError(f"{len(failed)} of {len(answers)} images could not be classified")
