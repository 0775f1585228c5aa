"""Make the tables of learning curves against which ``benchmarks/search.py`` replays searches.

Each row is a configuration of one conditional space, trained on digits or on USPS by the package's
own code: the validation accuracy of each epoch for three seeds. The first configurations are drawn
at random, the same for both datasets; after them, every second one is a mutation of one of the best
so far, so that the table is densest where a search ends up.

    python benchmarks/search_tables.py make digits digits.jsonl
    python benchmarks/search_tables.py make usps usps.jsonl --data-dir ~/datasets
    python benchmarks/search_tables.py pack digits.jsonl usps.jsonl

``make`` takes an hour or two, writes a line per configuration, and goes on where it was stopped;
``pack`` makes the small table of what there is.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from searchlab.config.seeds import derive_seed
from searchlab.config.settings import TrainingSettings
from searchlab.config.space import SpaceSpec
from searchlab.config.trial import FoldPlan, ObjectiveConfig, TrialConfig
from searchlab.data import load_dataset
from searchlab.data.folds import stratified_folds
from searchlab.data.request import DatasetRequest
from searchlab.search.samplers.evolution import mutate
from searchlab.search.samplers.flat_space import FlatSpace
from searchlab.search.space.points import Point, walk
from searchlab.study.trial_config import model_at, settings_at
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.process import prepare_process

TABLE = Path(__file__).with_name("search_tables.csv.gz")
LIMITS = {"digits": None, "usps": 2_000}  # half of the images train, half validate
EPOCHS = 12
SEEDS = (0, 1, 2)
NUM_RANDOM, NUM_ALL = 300, 1_000  # of each dataset; after the first 300 every second is mutated
NUM_PARENTS = 40

SPACE = SpaceSpec.model_validate(
    {
        "name": "benchmark",
        "parameters": {
            "lr": {"low": 1e-4, "high": 1e-1, "log": True},
            "batch_size": [32, 64, 128],
            "optimizer": ["adam", "adamw", "sgd"],
            "momentum": 0.9,
            "weight_decay": {"low": 1e-6, "high": 1e-1, "log": True},
            "schedule": ["constant", "cosine", "one_cycle"],
            "dropout": {"low": 0.0, "high": 0.6},
            "init": ["default", "xavier_uniform", "kaiming_normal", "normal"],
            "augment": ["none", "crop", "rotate", "rotate+crop"],
            "crop_padding": 1,
            "family": {
                "cnn": {
                    "depth": {"low": 1, "high": 3},
                    "width": {"each_layer": [8, 16, 32]},
                    "kernel": [3, 5],
                    "activation": ["relu", "gelu", "tanh"],
                    "batch_norm": [False, True],
                    "hidden": [0, 64],
                },
                "fcn": {
                    "depth": {"low": 1, "high": 3},
                    "width": {"each_layer": [32, 64, 128, 256]},
                    "activation": ["relu", "gelu", "sigmoid"],
                    "batch_norm": [False, True],
                },
            },
        },
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A configuration: its accuracy on a dataset [seeds, epochs], and an epoch's CPU seconds."""

    dataset: str
    drawn: str  # random, or near one of the best
    point: Point
    curves: Any
    seconds: float


def complete(point: Point) -> Point:
    """Return a point with what the space fixes."""
    return walk(SPACE, lambda name, node: point[name])


def read_table(path: Path = TABLE) -> list[Row]:
    """Return the rows of a table."""
    with gzip.open(path, "rt", newline="") as file:
        return [
            Row(
                dataset=line["dataset"],
                drawn=line["drawn"],
                point=json.loads(line["point"]),
                curves=np.array(json.loads(line["curves"])) / 1e4,
                seconds=float(line["seconds"]),
            )
            for line in csv.DictReader(file)
        ]


def read_work(path: Path) -> list[dict[str, Any]]:
    """Return what was trained so far; a line that was cut off is left out."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def pack(works: list[Path], table: Path) -> None:
    """Write what was trained as a small table, accuracies in hundredths of a per cent."""
    rows = [row for work in works for row in read_work(work)]
    lines = ["dataset,drawn,point,curves,seconds"]
    for row in rows:
        cells = (row["dataset"], row["drawn"], _quote(row["point"]), _quote(row["curves"]))
        lines.append(",".join([*cells, f"{row['seconds']:.4f}"]))
    with gzip.GzipFile(table, "wb", mtime=0) as file:
        file.write("\n".join([*lines, ""]).encode())
    print(f"{len(rows)} rows, {table.stat().st_size:,} bytes in {table}")


def _quote(value: Any) -> str:
    return '"' + json.dumps(value, separators=(",", ":")).replace('"', '""') + '"'


def make(dataset: str, work: Path, data_dir: Path) -> None:
    """Train the configurations that are missing."""
    prepare_process(1)
    data = load(dataset, data_dir)
    known = read_work(work)
    work.write_text("".join(json.dumps(row) + "\n" for row in known))  # no line that was cut off
    for index in range(len(known), NUM_ALL):
        drawn, point = draw(index, dataset, known)
        row = {"dataset": dataset, "drawn": drawn, "point": point}
        start = time.process_time()
        row["curves"] = [train(point, data, dataset, seed) for seed in SEEDS]
        row["seconds"] = (time.process_time() - start) / (len(SEEDS) * EPOCHS)
        known.append(row)
        with work.open("a") as file:
            file.write(json.dumps(row) + "\n")


def load(name: str, data_dir: Path) -> TrainingData:
    """Return a dataset, half of it for training and half for validation."""
    images = load_dataset(DatasetRequest(name=name, limit=LIMITS[name]), data_dir)
    folds = stratified_folds(images.train_labels, num_folds=2, seed=0)
    return TrainingData.from_images(images, folds, torch.device("cpu"))


def draw(index: int, dataset: str, done: list[dict[str, Any]]) -> tuple[str, Point]:
    """Return how a configuration is drawn, and its point."""
    flat = FlatSpace.of(SPACE)
    if index < NUM_RANDOM or index % 2:
        return "random", flat.active(flat.draw(random.Random(derive_seed("table", index))))
    rng = random.Random(derive_seed("table", dataset, index))
    best = sorted(done, key=lambda row: -np.max(np.mean(row["curves"], 0)))[:NUM_PARENTS]
    point = rng.choice(best)["point"]
    for _ in range(rng.randint(1, 3)):
        point = mutate(SPACE, point, rng)
    return "near", point


def train(point: Point, data: TrainingData, dataset: str, seed: int) -> list[int]:
    """Return the validation accuracy of each epoch, in hundredths of a per cent."""
    config = TrialConfig(
        number=0,
        seed=seed,
        dataset=dataset,
        model=model_at(complete(point)),
        settings=settings_at(complete(point), TrainingSettings(epochs=EPOCHS)),
        objective=ObjectiveConfig(),
        folds=FoldPlan(num_folds=2, folds=(0,), search_folds=1),
    )
    cohort = Cohort(config, data)
    values = [result.value for result in _epochs(cohort)]
    # A trial whose loss is not finite ends there.
    return [round(1e4 * value) for value in values] + [0] * (EPOCHS - len(values))


def _epochs(cohort: Cohort) -> Iterator[Any]:
    while True:
        result = cohort.run_epoch()
        if result.diverged:
            return
        yield result
        if result.done:
            return


def main() -> None:
    """Make or pack the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="train the configurations of a dataset")
    making.add_argument("dataset", choices=tuple(LIMITS))
    making.add_argument("work", type=Path, help="the file that gets a line per configuration")
    making.add_argument("--data-dir", type=Path, default=Path("data"))
    packing = commands.add_parser("pack", help="write the table of what was trained")
    packing.add_argument("works", type=Path, nargs="+")
    packing.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    if options.command == "make":
        make(options.dataset, options.work, options.data_dir)
    else:
        pack(options.works, options.table)


if __name__ == "__main__":
    main()
