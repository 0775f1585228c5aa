"""The datasets made of image files: Imagenette, and a user's own folder or table."""

from __future__ import annotations

from pathlib import Path

from searchlab.data.image_table import TABLE
from searchlab.data.registry import TreeSource, register_image_tree

__all__: list[str] = []

_IMAGENETTE = "imagenette2-160"


def _download_imagenette(root: Path) -> None:
    from torchvision.datasets import Imagenette

    Imagenette(root, split="train", size="160px", download=True)


# Howard 2019, github.com/fastai/imagenette; the variant whose short side is 160 pixels.
register_image_tree(
    name="imagenette",
    summary="colour photographs, ten easy classes of ImageNet",
    tree=TreeSource(folder=_IMAGENETTE, default_size=160),
    num_classes=10,
    files=(f"{_IMAGENETTE}/train", f"{_IMAGENETTE}/val"),
    archives=(f"{_IMAGENETTE}.tgz",),
    source="https://s3.amazonaws.com/fast-ai-imageclas",
    download=_download_imagenette,
)

register_image_tree(
    name="folder",
    summary="your own image files, one folder per class; give the root folder and a size",
    tree=TreeSource(folder=None, default_size=None),
    root_is="the folder that contains one folder per class",
)

register_image_tree(
    name="table",
    summary="your own image files, listed with their classes in a table; give the file and a size",
    tree=TreeSource(folder=None, default_size=None, reader=TABLE),
    root_is="the CSV, TSV or Parquet file that lists the images",
)
