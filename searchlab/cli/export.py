"""``searchlab export``: a trained model out of a run, into a folder of its own."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.chosen_run import LatestRunArgument, choose_run
from searchlab.cli.options import (
    DataDirOption,
    JsonOption,
    RunsDirOption,
    StorageOption,
    examples,
)

if TYPE_CHECKING:
    from searchlab.deployment.description import ModelDescription

__all__ = ["EXAMPLES", "Format", "FormatOption", "ToOption", "export", "print_model"]


class Format(StrEnum):
    """How the model is written."""

    safetensors = "safetensors"
    onnx = "onnx"
    torchscript = "torchscript"


ToOption = Annotated[
    Path, typer.Option("--to", metavar="DIR", help="New folder for the model.", show_default=False)
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        help="safetensors: weights, for searchlab; onnx: for other runtimes (needs "
        "searchlab[onnx]); torchscript: for torch without searchlab.",
    ),
]

EXAMPLES = examples(
    "searchlab export --to digits-model",
    "searchlab export quickstart --to digits-model --format onnx",
    "searchlab export quickstart --trial 2 --to baseline",
    "searchlab predict digits-model photos/",
)


def export(
    run: LatestRunArgument = None,
    *,
    to: ToOption,
    trial: Annotated[
        int | None,
        typer.Option("--trial", metavar="N", help="Trial to export.", show_default="the winner"),
    ] = None,
    model_format: FormatOption = Format.safetensors,
    runs_dir: RunsDirOption = None,
    data_dir: DataDirOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a trained model into a folder, ready to use.

    The folder gets the weights, model.json (configuration, preprocessing, class names) and a model
    card, README.md. The written file meets the study's test images first, and must be as accurate
    as the study recorded. The winner is the verdict's, or the first by rank if the verdict shows
    neither to be better. Search trials keep no weights, all others can be exported.
    To move a whole study instead, use `searchlab study export`.
    """
    from searchlab.cli.decoding_progress import make_decoding_progress
    from searchlab.data import resolve_data_dir
    from searchlab.deployment.model_files import check_installed
    from searchlab.deployment.model_folder import check_free
    from searchlab.report.model_export import choose_trial, export_trial
    from searchlab.report.reading import read_study

    check_free(to)
    check_installed(model_format.value, where=f"--format {model_format.value}")
    reading = read_study(choose_run(run, runs_dir), storage)
    written = export_trial(
        reading,
        choose_trial(reading, trial),
        to,
        model_format=model_format.value,
        data_dir=resolve_data_dir(data_dir),
        on_decoding=make_decoding_progress(quiet=False),
    )
    print_model(written, to, as_json=as_json)


def print_model(written: ModelDescription, to: Path, *, as_json: bool) -> None:
    """Say what was written, and how to use it."""
    from searchlab.config.metrics import DEFAULT_METRIC
    from searchlab.report.formatting import format_value

    test = written.test
    assert test is not None, "it was tested before it was put in place"
    if as_json:
        data = {
            "folder": str(to),
            "file": written.file,
            "format": written.format,
            "study": written.study,
            "trial": written.trial,
            "classes": list(written.classes),
            "test": {
                DEFAULT_METRIC: test.accuracy,
                "recorded": test.recorded_accuracy,
                "num_images": test.num_images,
            },
        }
        typer.echo(json.dumps(data, indent=2, allow_nan=False))
        return
    accuracy = format_value(DEFAULT_METRIC, test.accuracy)
    recorded = ""
    if test.recorded_accuracy is not None:
        recorded = f" (recorded: {format_value(DEFAULT_METRIC, test.recorded_accuracy)})"
    typer.echo(f"Exported {written.title} to {to}/")
    typer.echo(f"test accuracy of {written.file}: {accuracy}{recorded}")
    typer.echo(f"Use it: searchlab predict {to} IMAGES...")
