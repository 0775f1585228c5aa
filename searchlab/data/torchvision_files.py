"""torchvision's datasets of image files: torchvision lists the files, searchlab decodes them.

Images that a dataset sets aside for validation are training images here, because folds validate.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from searchlab.data.files import fetch_command
from searchlab.data.image_tree import ImageFile, ImageTree, hold_out_test
from searchlab.data.registry import TreeReader, TreeSource, register_image_tree
from searchlab.data.request import DatasetRequest, unusable_file
from searchlab.errors import InputError

__all__: list[str] = []

Labelled = Iterable[tuple[Path, int]]
Part = str | None
"""The name of a part of a dataset, None for all of it."""

# Attributes of torchvision's datasets that name classes by label.
_NAMES = ("classes", "categories", "all_categories")
# What torchvision raises for files that are not there or not as it expects them.
_DAMAGE = (OSError, EOFError, RuntimeError, TypeError, ValueError, LookupError, csv.Error)


def _list_by_loader(opened: Any, _root: Path, _part: Part) -> Labelled:
    """List a dataset that was opened with ``Path`` for its loader of images."""
    return (opened[index] for index in range(len(opened)))


def _list_caltech101(opened: Any, root: Path, _part: Part) -> Labelled:
    for label, number in zip(opened.y, opened.index, strict=True):
        folder = root / "caltech101" / "101_ObjectCategories" / opened.categories[label]
        yield folder / f"image_{number:04d}.jpg", label


def _list_caltech256(opened: Any, root: Path, _part: Part) -> Labelled:
    for label, number in zip(opened.y, opened.index, strict=True):
        folder = root / "caltech256" / "256_ObjectCategories" / opened.categories[label]
        yield folder / f"{label + 1:03d}_{number:04d}.jpg", label


def _list_gtsrb(_opened: Any, root: Path, part: Part) -> Labelled:
    folder = root / "gtsrb"
    if part == "train":
        for path in sorted((folder / "GTSRB" / "Training").glob("*/*.ppm")):
            yield path, int(path.parent.name)
        return
    with (folder / "GT-final_test.csv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            yield folder / "GTSRB" / "Final_Test" / "Images" / row["Filename"], int(row["ClassId"])


def _list_pets(_opened: Any, root: Path, part: Part) -> Labelled:
    folder = root / "oxford-iiit-pet"
    for line in (folder / "annotations" / f"{part}.txt").read_text().splitlines():
        name, label, *_ = line.split()
        yield folder / "images" / f"{name}.jpg", int(label) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """How torchvision opens a dataset, and which parts are the training and the test set.

    ``argument`` takes a part's name. Without ``test``, a fifth of each class is the test set.
    ``nested`` says that torchvision's root is the dataset's folder, not the one above it.
    """

    name: str
    kind: str
    train: tuple[Part, ...] = (None,)
    test: tuple[Part, ...] = ()
    argument: str = "split"
    others: dict[str, Any] = field(default_factory=dict)
    nested: bool = False
    list_part: Callable[[Any, Path, Part], Labelled] = _list_by_loader

    def download(self, root: Path) -> None:
        """Fill ``root`` with all parts."""
        for part in (*self.train, *self.test):
            self._open(root, part, download=True)

    def find_classes(self, folder: Path, _: DatasetRequest) -> tuple[str, ...]:
        """Return the classes of the training images."""
        found, names = self._list(folder, self.train)
        return _name_classes({label for _, label in found}, names)

    def scan(self, folder: Path, request: DatasetRequest) -> ImageTree:
        """List all images. Raises ``InputError`` if the files are not what torchvision expects."""
        listed, names = self._list(folder, self.train)
        held, _ = self._list(folder, self.test)
        labels = sorted({label for _, label in listed})
        classes = _name_classes(labels, names)
        numbers = {label: number for number, label in enumerate(labels)}
        if unknown := {label for _, label in held} - numbers.keys():
            raise self._damaged(folder, f"class {min(unknown)} has test images only")
        missing: list[str] = []
        train, test = (
            sorted(
                _look_at(folder, found, numbers, request, missing),
                key=lambda file: (file.label, file.path),
            )
            for found in (listed, held)
        )
        if not self.test:
            train, test = _hold_out(train, classes)
        return ImageTree(
            root=folder,
            classes=classes,
            train=tuple(train),
            test=tuple(test),
            broken_links=tuple(missing),
        )

    def _list(
        self, folder: Path, parts: Sequence[Part]
    ) -> tuple[list[tuple[Path, int]], Sequence[str]]:
        """Return the files of some parts with their labels, and the names of the classes if any."""
        root = folder if self.nested else folder.parent
        found: list[tuple[Path, int]] = []
        names: Sequence[str] = ()
        try:
            for part in parts:
                opened = self._open(root, part)
                found += self.list_part(opened, root, part)
                names = next((value for name in _NAMES if (value := getattr(opened, name, ()))), ())
        except _DAMAGE as error:
            raise self._damaged(folder, str(error) or type(error).__name__) from error
        return found, names

    def _open(self, root: Path, part: Part, *, download: bool = False) -> Any:
        from torchvision import datasets

        arguments = dict(self.others)
        if part is not None:
            arguments[self.argument] = part
        if download:
            arguments["download"] = True
        if self.list_part is _list_by_loader:
            arguments["loader"] = Path
        return getattr(datasets, self.kind)(root, **arguments)

    def _damaged(self, folder: Path, cause: str) -> InputError:
        return InputError(
            f"is damaged, or is not {self.name} as torchvision lays it out ({cause})",
            where=str(folder),
            remedy=f"Delete it, then run: {fetch_command(self.name, folder.parent)}",
        )


def _name_classes(labels: Iterable[int], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names[label] if names else str(label) for label in sorted(labels))


def _look_at(
    folder: Path,
    found: Labelled,
    numbers: dict[int, int],
    request: DatasetRequest,
    missing: list[str],
) -> Iterator[ImageFile]:
    """Yield the files that are there, and add the others to ``missing`` or raise InputError."""
    for path, label in found:
        place = path.relative_to(folder).as_posix()
        try:
            status = path.stat()
        except OSError as error:
            if not request.skip_broken:
                reason = f"belongs to {folder}, but {error.strerror or error}"
                raise unusable_file(reason, path) from error
            missing.append(place)
            continue
        yield ImageFile(place, numbers[label], status.st_size, status.st_mtime_ns)


def _hold_out(
    files: list[ImageFile], classes: tuple[str, ...]
) -> tuple[list[ImageFile], list[ImageFile]]:
    train: list[ImageFile] = []
    test: list[ImageFile] = []
    for label, of_class in groupby(files, key=lambda file: file.label):
        kept, held = hold_out_test(list(of_class), classes[label], where=f"class {classes[label]}")
        train += kept
        test += held
    return train, test


def _register(
    source: _Source,
    folder: str,
    *,
    summary: str,
    origin: str,
    size: int | None = None,
    is_free: bool = True,
) -> None:
    """Register a dataset in ``folder``; ``size`` is its images' own, ``is_free`` to download."""

    def download(root: Path) -> None:
        source.download(root / folder if source.nested else root)

    register_image_tree(
        name=source.name,
        summary=summary,
        tree=TreeSource(
            folder=folder,
            default_size=size,
            reader=TreeReader(takes="folder", find_classes=source.find_classes, scan=source.scan),
        ),
        files=(folder,),
        source=origin,
        download=download if is_free else None,
    )


# Each class in torchvision names the paper. Sources are those from which torchvision downloads.
_register(
    _Source(name="caltech101", kind="Caltech101", list_part=_list_caltech101),
    "caltech101",
    summary="photographs of objects, 101 classes",
    origin="https://drive.google.com",
)
_register(
    _Source(name="caltech256", kind="Caltech256", list_part=_list_caltech256),
    "caltech256",
    summary="photographs of objects, 257 classes",
    origin="https://drive.google.com",
)
_register(
    _Source(name="clevr", kind="CLEVRClassification", train=("train",), test=("val",)),
    "clevr",
    summary="drawn scenes, classes by the number of things",
    origin="https://dl.fbaipublicfiles.com/clevr",
)
_register(
    _Source(name="country211", kind="Country211", train=("train", "valid"), test=("test",)),
    "country211",
    summary="photographs by country, 211 classes",
    origin="https://openaipublic.azureedge.net/clip/data",
)
_register(
    _Source(name="dtd", kind="DTD", train=("train", "val"), test=("test",)),
    "dtd",
    summary="describable textures, 47 classes",
    origin="https://www.robots.ox.ac.uk/~vgg/data/dtd",
)
_register(
    _Source(name="eurosat", kind="EuroSAT"),
    "eurosat",
    summary="land use seen by a satellite, ten classes",
    origin="https://huggingface.co/datasets/torchgeo/eurosat",
    size=64,
)
_register(
    _Source(name="fgvc_aircraft", kind="FGVCAircraft", train=("trainval",), test=("test",)),
    "fgvc-aircraft-2013b",
    summary="photographs of aircraft, a hundred variants",
    origin="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft",
)
_register(
    _Source(name="flowers102", kind="Flowers102", train=("train", "val"), test=("test",)),
    "flowers-102",
    summary="photographs of flowers, 102 classes",
    origin="https://www.robots.ox.ac.uk/~vgg/data/flowers/102",
)
_register(
    _Source(name="food101", kind="Food101", train=("train",), test=("test",)),
    "food-101",
    summary="photographs of dishes, 101 classes",
    origin="http://data.vision.ee.ethz.ch/cvl",
)
_register(
    _Source(name="gtsrb", kind="GTSRB", train=("train",), test=("test",), list_part=_list_gtsrb),
    "gtsrb",
    summary="German traffic signs, 43 classes",
    origin="https://sid.erda.dk",
)
_register(
    _Source(
        name="inaturalist",
        kind="INaturalist",
        train=("2021_train_mini",),
        test=("2021_valid",),
        argument="version",
        nested=True,
    ),
    "inaturalist",
    summary="photographs of plants and animals, 10,000 species (2021, mini)",
    origin="https://ml-inat-competition-datasets.s3.amazonaws.com/2021",
)
_register(
    _Source(name="omniglot", kind="Omniglot"),
    "omniglot-py",
    summary="handwritten characters of 30 alphabets, 964 classes (the background set)",
    origin="https://raw.githubusercontent.com/brendenlake/omniglot",
    size=105,
)
_register(
    _Source(
        name="oxford_iiit_pet",
        kind="OxfordIIITPet",
        train=("trainval",),
        test=("test",),
        list_part=_list_pets,
    ),
    "oxford-iiit-pet",
    summary="photographs of cats and dogs, 37 breeds",
    origin="https://www.robots.ox.ac.uk/~vgg/data/pets",
)
_register(
    _Source(
        name="places365",
        kind="Places365",
        train=("train-standard",),
        test=("val",),
        others={"small": True},
        nested=True,
    ),
    "places365",
    summary="photographs of places, 365 classes (256 pixels)",
    origin="http://data.csail.mit.edu/places/places365",
)
_register(
    _Source(name="rendered_sst2", kind="RenderedSST2", train=("train", "val"), test=("test",)),
    "rendered-sst2",
    summary="sentences as images, two classes",
    origin="https://openaipublic.azureedge.net/clip/data",
    size=448,
)
_register(
    _Source(name="stanford_cars", kind="StanfordCars", train=("train",), test=("test",)),
    "stanford_cars",
    summary="photographs of cars, 196 models; no longer to be downloaded",
    origin="https://ai.stanford.edu/~jkrause/cars",
    is_free=False,
)
_register(
    _Source(name="sun397", kind="SUN397"),
    "SUN397",
    summary="photographs of scenes, 397 classes",
    origin="http://vision.princeton.edu/projects/2010/SUN",
)
