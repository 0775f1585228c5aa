"""``searchlab kernels``: the hand-set kernels, as text and by their responses to images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchlab.cli.files import check_writable, writing
from searchlab.cli.options import (
    COMMAND_GROUP,
    DataDirOption,
    ForceOption,
    JsonOption,
    PluginOption,
    RootOption,
    examples,
    load_plugins,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from searchlab.data import DatasetRequest

__all__ = ["app"]

app = typer.Typer(**COMMAND_GROUP, help="Show the kernels that HF and HT set by hand.")

FamilyOption = Annotated[
    str, typer.Option(help="Family whose first layer to show; see `searchlab space families`.")
]


@app.command(
    "list",
    epilog=examples("searchlab kernels list", "searchlab kernels list --family a2 --json"),
)
def list_(
    *, family: FamilyOption = "a1", plugins: PluginOption = None, as_json: JsonOption = False
) -> None:
    """Print the 0/1 patterns of a hand-set first layer."""
    load_plugins(plugins)
    from searchlab.models.first_layer import first_layer_kernels

    kernels = first_layer_kernels(family).int().tolist()
    if as_json:
        entries = [{"kernel": number, "rows": rows} for number, rows in enumerate(kernels)]
        typer.echo(json.dumps({"family": family, "kernels": entries}))
        return
    for number, rows in enumerate(kernels):
        lines = (" ".join(map(str, row)) for row in rows)
        typer.echo(f"kernel {number}\n  " + "\n  ".join(lines) + "\n")


@app.command(
    "show",
    epilog=examples(
        "searchlab kernels show",
        "searchlab kernels show --family a2 --dataset usps --images 4 --out seen.png",
    ),
)
def show(
    *,
    family: FamilyOption = "a1",
    dataset: Annotated[str, typer.Option(help="See `searchlab data list`.")] = "digits",
    root: RootOption = None,
    size: Annotated[
        int | None,
        typer.Option(help="Side in pixels, for datasets of image files.", show_default="its own"),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Number of images.", show_default="one of each class"),
    ] = None,
    filters: Annotated[
        int, typer.Option(min=1, max=100, help="Largest number of kernels, counted from the first.")
    ] = 16,
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("kernels.png"),
    force: ForceOption = False,
    plugins: PluginOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Draw the response of each hand-set kernel to training images.

    Pixels are in 0 to 1. Padding keeps the images' size, whatever the layer's stride.
    """
    check_writable(out, force=force)
    load_plugins(plugins)
    from searchlab.data import DatasetRequest

    request = DatasetRequest(name=dataset, root=root, size=size)
    picture = _draw(family, request, images, filters, data_dir)
    with writing(out):
        picture.save(out, format="PNG")
    typer.echo(f"Wrote {out}", err=True)


def _draw(
    family: str,
    request: DatasetRequest,
    num_images: int | None,
    num_filters: int,
    data_dir: Path | None,
) -> Image:
    import torch

    from searchlab.data import describe_dataset, load_dataset, resolve_data_dir
    from searchlab.models.first_layer import first_layer_kernels
    from searchlab.report.kernel_pictures import choose_images, draw_kernel_responses, respond

    known = first_layer_kernels(family)
    kernels = known[:num_filters]
    count = len(known) if len(kernels) == len(known) else f"first {len(kernels)} of {len(known)}"
    folder = resolve_data_dir(data_dir)
    data = load_dataset(request, folder)
    names = describe_dataset(request, folder).class_names
    chosen = choose_images(data.train_labels, num_images or data.num_classes)
    pixels = data.train_images[chosen]
    return draw_kernel_responses(
        pixels,
        kernels,
        respond(torch.from_numpy(pixels).float() / 255, kernels),
        title=f"Responses of the {count} hand-set kernels of {family} to {request.name}",
        captions=[
            names[label] if names else f"class {label}" for label in data.train_labels[chosen]
        ],
    )
