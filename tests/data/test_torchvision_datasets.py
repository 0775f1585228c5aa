"""torchvision's datasets by name: the same images and labels as torchvision gives, no network."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from idx_files import idx_header
from PIL import Image

from searchlab.data import (
    DatasetRequest,
    count_images,
    describe_dataset,
    get_dataset,
    list_datasets,
    load_dataset,
)
from searchlab.errors import InputError

PER_CLASS = 3
SIZE = 8


class Painter:
    """Writes images of one grey each, by which they are known again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.greys = count(3, 3)

    def paint(self, place: str) -> str:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIZE, SIZE), (next(self.greys),) * 3).save(path)
        return place


def write_caltech101(painter: Painter) -> None:
    for name in ("BACKGROUND_Google", "ant", "Faces_easy"):
        for number in range(1, PER_CLASS + 1):
            painter.paint(f"caltech101/101_ObjectCategories/{name}/image_{number:04d}.jpg")


def write_caltech256(painter: Painter) -> None:
    for label, name in enumerate(("001.ak47", "002.flag"), start=1):
        for number in range(1, PER_CLASS + 1):
            place = f"caltech256/256_ObjectCategories/{name}/{label:03d}_{number:04d}.jpg"
            painter.paint(place)


def write_dtd(painter: Painter) -> None:
    labels = painter.root / "dtd" / "dtd" / "labels"
    labels.mkdir(parents=True)
    for part in ("train", "val", "test"):
        names = [
            f"{name}/{name}_{part}{number}.png"
            for name in ("banded", "dotted")
            for number in range(PER_CLASS)
        ]
        for name in names:
            painter.paint(f"dtd/dtd/images/{name}")
        (labels / f"{part}1.txt").write_text("\n".join(names))


def write_eurosat(painter: Painter) -> None:
    for name in ("Forest", "River"):
        for number in range(PER_CLASS):
            painter.paint(f"eurosat/2750/{name}/{name}_{number}.jpg")


def write_gtsrb(painter: Painter) -> None:
    for label in range(3):
        for number in range(PER_CLASS):
            painter.paint(f"gtsrb/GTSRB/Training/{label:05d}/{number}.ppm")
    rows = ["Filename;Width;ClassId"]
    for label in (2, 0, 1):
        painter.paint(f"gtsrb/GTSRB/Final_Test/Images/{label}.ppm")
        rows.append(f"{label}.ppm;8;{label}")
    (painter.root / "gtsrb" / "GT-final_test.csv").write_text("\n".join(rows))


def write_pets(painter: Painter) -> None:
    notes = painter.root / "oxford-iiit-pet" / "annotations"
    notes.mkdir(parents=True)
    for first, part in enumerate(("trainval", "test")):
        lines = []
        for label, name in enumerate(("Abyssinian", "american_bulldog"), start=1):
            for number in range(first * PER_CLASS, (first + 1) * PER_CLASS):
                painter.paint(f"oxford-iiit-pet/images/{name}_{number}.jpg")
                lines.append(f"{name}_{number} {label} 1 1")
        (notes / f"{part}.txt").write_text("\n".join(lines))


def write_inaturalist(painter: Painter) -> None:
    for version in ("2021_train_mini", "2021_valid"):
        for label, kind in enumerate(("Lumbricus_terrestris", "Sabella_spallanzanii")):
            folder = f"{label:05d}_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_{kind}"
            for number in range(PER_CLASS):
                painter.paint(f"inaturalist/{version}/{folder}/{number}.jpg")


WRITERS: dict[str, tuple[Callable[[Painter], None], str, list[dict[str, Any]], Any]] = {
    "caltech101": (write_caltech101, "Caltech101", [{}], None),
    "caltech256": (write_caltech256, "Caltech256", [{}], None),
    "dtd": (write_dtd, "DTD", [{"split": "train"}, {"split": "val"}], {"split": "test"}),
    "eurosat": (write_eurosat, "EuroSAT", [{}], None),
    "gtsrb": (write_gtsrb, "GTSRB", [{"split": "train"}], {"split": "test"}),
    "oxford_iiit_pet": (write_pets, "OxfordIIITPet", [{"split": "trainval"}], {"split": "test"}),
    "inaturalist": (
        write_inaturalist, "INaturalist", [{"version": "2021_train_mini"}],
        {"version": "2021_valid"},
    ),
}  # fmt: skip


def greys_of(images: np.ndarray, labels: np.ndarray) -> list[tuple[int, int]]:
    return sorted(
        (int(image.mean().round()), int(label)) for image, label in zip(images, labels, strict=True)
    )


def greys_in_torchvision(opened: Any) -> list[tuple[int, int]]:
    pairs = [opened[index] for index in range(len(opened))]
    return [(round(float(np.asarray(image).mean())), label) for image, label in pairs]


@pytest.mark.parametrize("name", WRITERS)
def test_image_files_have_the_labels_that_torchvision_gives(name: str, tmp_path: Path) -> None:
    from torchvision import datasets

    write, kind, train, test = WRITERS[name]
    write(Painter(tmp_path))
    root = tmp_path / "inaturalist" if name == "inaturalist" else tmp_path
    request = DatasetRequest(name=name, size=SIZE)
    data = load_dataset(request, tmp_path)
    parts = [greys_in_torchvision(getattr(datasets, kind)(root, **part)) for part in train]
    expected = sorted(pair for part in parts for pair in part)
    if test is None:  # a fifth of each class
        found = greys_of(data.train_images, data.train_labels)
        held = greys_of(data.test_images, data.test_labels)
        assert sorted(found + held) == expected
        assert sorted(label for _, label in held) == list(range(data.num_classes))
    else:
        assert greys_of(data.train_images, data.train_labels) == expected
        opened = getattr(datasets, kind)(root, **test)
        assert greys_of(data.test_images, data.test_labels) == sorted(greys_in_torchvision(opened))
    assert data.image_shape == (3, SIZE, SIZE)
    facts = describe_dataset(request, tmp_path)
    assert facts.num_classes == len(data.class_names) == data.num_classes
    assert count_images(name, tmp_path) == (len(data.train_labels), len(data.test_labels))


def test_classes_have_the_names_that_torchvision_knows(tmp_path: Path) -> None:
    write_pets(Painter(tmp_path))
    request = DatasetRequest(name="oxford_iiit_pet", size=SIZE)
    assert describe_dataset(request, tmp_path).class_names == ("Abyssinian", "American Bulldog")


def test_a_listed_file_that_is_not_there_is_named_or_skipped(tmp_path: Path) -> None:
    write_dtd(Painter(tmp_path))
    (tmp_path / "dtd/dtd/images/banded/banded_val1.png").unlink()
    with pytest.raises(InputError, match=r"banded_val1\.png belongs to .*/dtd, but No such file"):
        load_dataset(DatasetRequest(name="dtd", size=SIZE), tmp_path)
    data = load_dataset(DatasetRequest(name="dtd", size=SIZE, skip_broken=True), tmp_path)
    assert data.num_skipped == 1
    assert len(data.train_labels) == 4 * PER_CLASS - 1


def test_files_that_torchvision_cannot_read_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "dtd").mkdir()
    with pytest.raises(InputError, match=r"dtd is damaged, or is not dtd as .*\(Dataset not fou"):
        load_dataset(DatasetRequest(name="dtd", size=SIZE), tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dtd", r"dataset dtd is not in .*: dtd not found\. Run: searchlab data fetch dtd"),
        ("svhn", r"svhn is not in .*: train_32x32\.mat and 1 more not found"),
        ("stanford_cars", r"stanford_cars not found\. Put it there; searchlab cannot download it"),
    ],
)
def test_nothing_is_downloaded_by_itself(name: str, message: str, tmp_path: Path) -> None:
    size = None if name == "svhn" else SIZE
    with pytest.raises(InputError, match=message):
        load_dataset(DatasetRequest(name=name, size=size), tmp_path)
    assert count_images(name, tmp_path)[0] == get_dataset(name).num_train


def write_idx(raw: Path, prefix: str, labels: list[list[int]] | list[int], kind: str) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    pixels = b"".join(bytes([number]) * 28 * 28 for number in range(len(labels)))
    header = idx_header(3, len(labels), 28, 28)
    (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels)
    content = np.array(labels, dtype=">i4" if kind == "idx2-int" else "u1").tobytes()
    header = bytes([0, 0, 12, 2]) + idx_header(2, len(labels), 8)[4:] if kind == "idx2-int" else (
        idx_header(1, len(labels))
    )  # fmt: skip
    (raw / f"{prefix}-labels-{kind}").write_bytes(header + content)


def test_labels_that_begin_at_one_are_numbered_from_zero(tmp_path: Path) -> None:
    raw = tmp_path / "EMNIST" / "raw"
    for part, labels in (("train", list(range(1, 27))), ("test", [26, 1])):
        write_idx(raw, f"emnist-letters-{part}", labels, "idx1-ubyte")
    data = load_dataset("emnist_letters", tmp_path)
    assert data.train_labels.tolist() == list(range(26))
    assert data.test_labels.tolist() == [25, 0]
    assert [int(image[0, 0, 0]) for image in data.train_images] == list(range(26))


def test_labels_of_many_numbers_count_by_their_class(tmp_path: Path) -> None:
    for part in ("train", "test"):
        labels = [[label, *range(7)] for label in range(10)]
        write_idx(tmp_path / "QMNIST" / "raw", f"qmnist-{part}", labels, "idx2-int")
    data = load_dataset("qmnist", tmp_path)
    assert data.train_labels.tolist() == data.test_labels.tolist() == list(range(10))


# Those that are not of one class per image, or that searchlab reads otherwise.
NOT_BY_NAME = {
    "CelebA": "attributes", "CIFAR10": "its own", "CIFAR100": "its own", "Cityscapes": "segments",
    "CocoCaptions": "captions", "CocoDetection": "boxes", "DatasetFolder": "folder",
    "FakeData": "noise", "FashionMNIST": "its own", "Flickr30k": "captions",
    "Flickr8k": "captions", "HMDB51": "videos", "ImageFolder": "folder", "ImageNet": "folder",
    "Imagenette": "its own", "KMNIST": "its own", "Kinetics": "videos", "Kitti": "boxes",
    "LFWPairs": "pairs", "LFWPeople": "persons of one image", "LSUN": "a database",
    "LSUNClass": "a database", "MNIST": "its own", "MovingMNIST": "videos", "PhotoTour": "pairs",
    "SBDataset": "segments", "SBU": "captions", "UCF101": "videos", "USPS": "its own",
    "VisionDataset": "abstract", "VOCDetection": "boxes", "VOCSegmentation": "segments",
    "WIDERFace": "boxes",
}  # fmt: skip


def test_every_classification_dataset_of_torchvision_has_a_name() -> None:
    from torchvision import datasets

    kinds = {name for name in datasets.__all__ if isinstance(getattr(datasets, name), type)}
    of_pairs = {
        name
        for name in kinds
        if {"_optical_flow", "_stereo_matching"}
        & set(getattr(datasets, name).__module__.split("."))
    }
    names = [name.replace("_", "") for name in list_datasets()]
    for kind in sorted(kinds - of_pairs - set(NOT_BY_NAME)):
        folded = kind.lower()
        assert any(one.startswith(folded) or folded.startswith(one) for one in names), kind


@pytest.mark.parametrize(
    "name", [name for name in list_datasets() if get_dataset(name).source.startswith("http")]
)
def test_torchvision_takes_the_arguments_that_it_is_given(name: str, tmp_path: Path) -> None:
    for file in get_dataset(name).files:
        (tmp_path / file).mkdir(parents=True)
    size = None if get_dataset(name).load else SIZE
    with pytest.raises(InputError) as caught:
        load_dataset(DatasetRequest(name=name, size=size), tmp_path)
    for fault in ("argument", "Unknown value", "has no attribute"):
        assert fault not in str(caught.value)
