"""Wrong labels and copies that were planted in the digits are found, and shown."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from small_studies import run_study

from searchlab.analysis.duplicates import CopyCounts
from searchlab.data import ImageData, load_dataset
from searchlab.engine.diagnostics.copies import plan_copies
from searchlab.engine.diagnostics.files import DiagnosticFiles
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.labels import plan_labels
from searchlab.engine.diagnostics.pictures import show_image
from searchlab.engine.diagnostics.results import (
    COPIES_KEY,
    CopiedImages,
    ModelErrors,
    SuspectLabels,
    errors_key,
    labels_key,
)
from searchlab.engine.stopping import StopRequest
from searchlab.records.run_folder import RunFolder
from searchlab.report.page.report import make_report
from searchlab.report.reading import read_study
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.training.held_out import held_out_path, write_held_out

PLANTED, LABEL = 17, 3  # a training image, and the label that it gets


@pytest.fixture(scope="module")
def digits() -> ImageData:
    """Digits with one wrong label; test images 5 and 8 are copies, 8 with another label."""
    images = load_dataset("digits", Path("unused"))
    labels, test = images.train_labels.copy(), images.test_images.copy()
    test_labels = images.test_labels.copy()
    assert labels[PLANTED] != LABEL
    labels[PLANTED] = LABEL
    test[5], test_labels[5] = images.train_images[30], labels[30]
    test[8], test_labels[8] = images.train_images[31], (labels[31] + 1) % 10
    return replace(images, train_labels=labels, test_images=test, test_labels=test_labels)


def make_record(number: int, role: str = "baseline", state: str = "COMPLETE") -> Any:
    return SimpleNamespace(number=number, role=role, state=state, answers=None)


def finish(images: ImageData, folder: Path, records: list[Any]) -> FinishedStudy:
    finished = FinishedStudy(
        run=RunFolder(folder),
        prepared=PreparedStudy(plan=cast(Any, None), images=images, folds=()),
        records=records,
        stop=StopRequest(),
    )
    finished.__dict__["subjects"] = records
    return finished


def predict(images: ImageData, neighbours: int) -> torch.Tensor:
    """Return logits of every training image by a classifier that did not see it."""
    flat = images.train_images.reshape(len(images.train_labels), -1)
    probabilities = cross_val_predict(
        KNeighborsClassifier(neighbours), flat, images.train_labels, method="predict_proba", cv=3
    )
    return torch.from_numpy(np.log(probabilities.clip(1e-3))).half()


def look_at_training(finished: FinishedStudy) -> SuspectLabels:
    training, _ = plan_labels(finished)
    assert training.key == labels_key("training", finished.records)
    found = training.measure()
    assert isinstance(found, SuspectLabels)
    return found


def test_a_planted_wrong_label_comes_first(digits: ImageData, tmp_path: Path) -> None:
    everything = (np.arange(len(digits.train_labels)),)
    models = tmp_path / "artifacts" / "models"
    for number, neighbours in enumerate((5, 9)):
        write_held_out(held_out_path(models, number), {0: predict(digits, neighbours)}, everything)
    guesses = {0: torch.zeros(len(digits.train_labels), 10).half()}  # always the first class
    write_held_out(held_out_path(models, 2), guesses, everything)
    records = [
        *map(make_record, range(4)), make_record(4, "search"), make_record(5, state="PRUNED"),
    ]  # fmt: skip
    found = look_at_training(finish(digits, tmp_path, records))
    assert (found.asked, found.mostly_wrong, found.unknown) == ([0, 1], [2], [3])
    assert found.images == len(digits.train_labels)
    first = found.shown[0]
    assert (first.image.place.index, first.image.place.label) == (PLANTED, LABEL)
    assert first.answer == load_dataset("digits", tmp_path).train_labels[PLANTED]
    assert first.confidence > 0.5
    assert 1 <= found.count < 20
    assert len(found.shown) == min(found.count, 12)


def test_one_trial_alone_casts_no_doubt(digits: ImageData, tmp_path: Path) -> None:
    path = held_out_path(tmp_path / "artifacts" / "models", 0)
    write_held_out(path, {0: predict(digits, 5)}, (np.arange(len(digits.train_labels)),))
    found = look_at_training(finish(digits, tmp_path, [make_record(0), make_record(1)]))
    assert (found.images, found.count, found.shown) == (0, 0, [])


def test_a_damaged_file_is_as_good_as_none(
    digits: ImageData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = held_out_path(tmp_path / "artifacts" / "models", 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    assert look_at_training(finish(digits, tmp_path, [make_record(0)])).unknown == [0]
    assert str(path) in caplog.text


def test_planted_copies_are_counted_and_those_with_another_label_shown_first(
    digits: ImageData, tmp_path: Path
) -> None:
    [task] = plan_copies(finish(digits, tmp_path, []))
    found = task.measure()
    assert isinstance(found, CopiedImages)
    assert found.counts == CopyCounts(
        across=2, across_differing=1, training=0, training_differing=0
    )
    places = [[(place.part, place.index) for place in one.places] for one in found.shown]
    assert places == [[("test", 8), ("training", 31)], [("test", 5), ("training", 30)]]


def decode(png: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(png)))


def test_a_shown_image_is_the_image(digits: ImageData) -> None:
    shown = show_image(digits, "training", PLANTED)
    assert (shown.width, shown.height) == (8, 8)
    assert (np.asarray(decode(shown.png)) == digits.train_images[PLANTED, 0]).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(200, 100), (3, 500), (64, 64)])
def test_a_large_image_is_shown_small(channels: int, height: int, width: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, channels, height, width), dtype=np.uint8)
    label = np.array([0, 1])
    images = ImageData(
        name="noise", train_images=noise, train_labels=label, test_images=noise,
        test_labels=label, num_classes=2, test_files=("a/\x1b[31m.png", "b/\udcff.png"),
    )  # fmt: skip
    shown = show_image(images, "test", 1)
    assert max(shown.width, shown.height) <= 56
    assert decode(shown.png).size == (shown.width, shown.height)
    assert len(shown.png) < 6_000, "80 of them are less than half a megabyte"
    assert shown.place.file == r"b/\udcff.png"


def write_folder(images: ImageData, root: Path) -> Path:
    """Write a part of the digits as files, each class in its folder."""
    for part, pixels, labels in (
        ("train", images.train_images[:400], images.train_labels[:400]),
        ("test", images.test_images[:60], images.test_labels[:60]),
    ):
        for index, (pixel, label) in enumerate(zip(pixels, labels, strict=True)):
            path = root / part / f"<b>digit {label}" / f"{index:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixel[0]).save(path)
    return root


@pytest.mark.slow
def test_a_study_of_files_says_which_they_are(digits: ImageData, tmp_path: Path) -> None:
    run = run_study(
        tmp_path,
        "serial",
        data_dir=tmp_path / "data-dir",
        dataset={"name": "folder", "root": str(write_folder(digits, tmp_path / "data")), "size": 8},
        search={"trials": 1, "sampler": "random"},
        training={"epochs": 60, "batch_size": 256, "lr": 0.01},
        confirm={"top": 0},
        report={"diagnostics": ["errors"]},
    )
    files = DiagnosticFiles(run.diagnostics)
    labels = files.read(labels_key("training", read_study(run, None).records), SuspectLabels)
    assert labels is not None
    assert labels.result.asked == [0, 1]
    shown = [one.image.place.file for one in labels.result.shown]
    assert f"train/<b>digit {LABEL}/{PLANTED:04d}.png" in shown, "these models are weak"
    copies = files.read(COPIES_KEY, CopiedImages)
    assert copies is not None
    assert copies.result.counts.across == 2
    assert copies.result.class_names == [f"<b>digit {k}" for k in range(10)]
    reading = read_study(run, None)
    [baseline] = [
        errors
        for record in reading.records
        if (errors := files.read(errors_key(record.number), ModelErrors))
    ]
    assert baseline.result.tempered is not None
    sections = {section.key: section for section in make_report(reading)}
    assert "its kept model" in sections["errors"].says
    assert "<b>digit" in sections["errors"].says
    assert "The training set holds 2 of 60 test images (3.3%) too" in sections["data"].says
