"""From ``study new`` to ``predict``: uneven folders, tables with groups, arrays, deep pixels."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import run_searchlab
from numpy.typing import NDArray
from PIL import Image

pytestmark = pytest.mark.slow

SIDE = 12
SPACE = """
name: small
parameters:
  lr: {low: 0.001, high: 0.01, log: true}
  batch_size: 8
  family: {cnn: {depth: 1, width: [4, 8]}}
"""
Pixels = NDArray[np.uint8]


def draw(label: int, seed: int, *, channels: int = 3) -> Pixels:
    """Return an image whose upper or lower half is bright, by its class."""
    image = np.random.default_rng(seed).integers(0, 90, (SIDE, SIDE, channels), dtype=np.uint8)
    half = slice(None, SIDE // 2) if label == 0 else slice(SIDE // 2, None)
    image[half] += 150
    return image


def lay_out_uneven_folder(root: Path) -> tuple[list[str], Path]:
    for label, (name, count) in enumerate((("many", 95), ("few", 5))):
        (root / "photos" / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(draw(label, index)).save(root / "photos" / name / f"{index}.png")
    flags = ["--dataset", "folder", "--root", "photos", "--size", "12", "--folds", "2"]
    rare = ["--objective", "balanced_accuracy", "--set", "training.class_weights=balanced"]
    return [*flags, *rare], root / "photos"


def lay_out_table_with_groups(root: Path) -> tuple[list[str], Path]:
    (root / "files").mkdir()
    with (root / "cases.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "finding", "patient"])
        for index in range(48):
            label = index % 2
            Image.fromarray(draw(label, index)).save(root / "files" / f"{index}.png")
            table.writerow([f"files/{index}.png", ("top", "bottom")[label], index // 4])
    flags = ["--dataset", "table", "--root", "cases.csv", "--size", "12", "--folds", "3"]
    columns = "dataset.columns={path: file, label: finding, group: patient}"
    return [*flags, "--set", columns], root / "files"


def lay_out_arrays(root: Path) -> tuple[list[str], Path]:
    images = np.stack([draw(index % 2, index, channels=1)[:, :, 0] for index in range(48)])
    labels = np.arange(48) % 2
    np.savez(root / "mine.npz", images=images, labels=labels)
    np.save(root / "new.npy", images[:10])
    return ["--dataset", "arrays", "--root", "mine.npz", "--folds", "2"], root / "new.npy"


def lay_out_deep_images(root: Path) -> tuple[list[str], Path]:
    for label, name in enumerate(("top", "bottom")):
        (root / "deep" / name).mkdir(parents=True)
        for index in range(24):
            # A sensor of 12 bits in a file of 16.
            image = draw(label, index, channels=1)[:, :, 0].astype(np.uint16) << 4
            Image.fromarray(image).save(root / "deep" / name / f"{index}.png")
    flags = ["--dataset", "folder", "--root", "deep", "--size", "12", "--folds", "2"]
    return flags, root / "deep"


def lay_out_four_channels(root: Path) -> tuple[list[str], Path]:
    images = np.stack([draw(index % 2, index, channels=4) for index in range(48)])
    bands = images.astype(np.float32) / 1000
    np.savez(root / "bands.npz", images=bands, labels=np.arange(48) % 2)
    np.save(root / "new.npy", bands[:10])
    return ["--dataset", "arrays", "--root", "bands.npz", "--folds", "2"], root / "new.npy"


@pytest.mark.parametrize(
    "lay_out",
    [
        lay_out_uneven_folder, lay_out_table_with_groups, lay_out_arrays, lay_out_deep_images,
        lay_out_four_channels,
    ],
)  # fmt: skip
def test_own_images_go_from_a_new_study_to_predictions(
    lay_out: Callable[[Path], tuple[list[str], Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    flags, to_predict = lay_out(tmp_path)
    (tmp_path / "small.yaml").write_text(SPACE)
    made = run_searchlab("study", "new", "own", "--space", "small.yaml", "--trials", "2", *flags)
    assert made.code == 0, made.err
    short = [
        "training.epochs=4", "confirm.top=1", "confirm.repeats=2", "report.diagnostics=[]",
        "baselines={architectures: [cnn], schemes: [DT]}",
    ]  # fmt: skip
    settings = [word for setting in short for word in ("--set", setting)]
    ran = run_searchlab("study", "run", "own", "--engine", "serial", "--quiet", *settings)
    assert ran.code == 0, ran.err
    assert any(answer in ran.out for answer in ("YES.", "NO.", "UNDECIDED."))
    exported = run_searchlab("export", "own", "--to", "model", "--json")
    assert exported.code == 0, exported.err
    predicted = run_searchlab("predict", "model", to_predict, "--json")
    assert predicted.code == 0, predicted.err
    answers = json.loads(predicted.out)["predictions"]
    assert len(answers) == (10 if to_predict.suffix == ".npy" else count_files(to_predict))
    assert {answer["label"] for answer in answers} <= set(json.loads(exported.out)["classes"])


def count_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))
