"""What an epoch of training costs: searchlab's member against a data loader, and a bare loop.

All train the same networks with Adam in batches of 128, on the same images in memory, on one
thread and without further processes. The alternative is what you would write: a data loader that
passes PIL images through torchvision's transforms one by one, and the usual loop in float32. The
bare loop is the limit: batches cut from one tensor, in the member's layout of memory, and nothing
that is not needed to learn. The loader has a process of its own, because the worker's allocator is
a setting of the whole process. All are timed in turn, in CPU seconds, so that other programs on the
machine disturb them as little as possible.

    python benchmarks/training.py
    python benchmarks/training.py --data-dir ~/datasets --images 12800 --repeats 7 --json
    python benchmarks/training.py --models a2 --profile

bfloat16 is measured only on a processor that computes in it.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from searchlab.config.settings import Precision, TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, ObjectiveConfig, TrialConfig
from searchlab.data import ImageData, load_dataset
from searchlab.data.subset import limit_training
from searchlab.engine.precision import choose_precision
from searchlab.errors import InputError
from searchlab.models.build import build_model
from searchlab.training.images import Normalizer, TrainingData
from searchlab.training.inference import predict
from searchlab.training.member import Member
from searchlab.training.memory_layout import keep_channels_last
from searchlab.training.process import prepare_process

BATCH = 128
FEWEST_IMAGES = 10 * BATCH
LR = 1e-3
MEAN, STD = 0.2860, 0.3530  # FashionMNIST's, as you would write them
SHAPE = (1, 28, 28)
NUM_CLASSES = 10
MODELS = {"a2": "report 000", "2conv1fc": "report 003"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to train; its speed is divided by that of the case ``reference``."""

    loop: Literal["member", "bare", "loader"]
    precision: Precision = "float32"
    augmented: bool = False
    reference: str


CASES = {
    "loader": Case(loop="loader", reference="loader"),
    "bare": Case(loop="bare", reference="loader"),
    "float32": Case(loop="member", reference="loader"),
    "bare bfloat16": Case(loop="bare", precision="bfloat16", reference="loader"),
    "bfloat16": Case(loop="member", precision="bfloat16", reference="loader"),
    "loader flip+crop": Case(loop="loader", augmented=True, reference="loader flip+crop"),
    "float32 flip+crop": Case(loop="member", augmented=True, reference="loader flip+crop"),
}

Epoch = Callable[[int], float]
"""Trains the epoch with this number, from 1, and returns its mean loss."""


# The images


@functools.cache
def load_images(data_dir: Path | None, num_images: int) -> ImageData:
    """Return FashionMNIST's first images, or noise with a bright bar that shows the class."""
    if data_dir is not None:
        return limit_training(load_dataset("fashion_mnist", data_dir), num_images)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, NUM_CLASSES, num_images)
    images = generator.integers(0, 128, (num_images, *SHAPE), dtype=np.uint8)
    for row, label in enumerate(labels):
        images[row, :, 2 * label + 4 : 2 * label + 6] += 127
    return ImageData(
        name="synthetic",
        train_images=images,
        train_labels=labels,
        test_images=images[:BATCH],
        test_labels=labels[:BATCH],
        num_classes=NUM_CLASSES,
    )


# searchlab


def make_member_epoch(model: str, case: Case, data: ImageData) -> Epoch:
    """Return an epoch of the member that trains on all images, as a worker runs it."""
    config = TrialConfig(
        number=0,
        seed=0,
        dataset=data.name,
        model=ModelConfig(family=model),
        settings=TrainingSettings(
            epochs=10_000,  # more than are run; the learning rate is constant
            batch_size=BATCH,
            optimizer="adam",
            lr=LR,
            augment="flip+crop" if case.augmented else "none",
            precision=case.precision,
        ),
        objective=ObjectiveConfig(),
        folds=FoldPlan(num_folds=1, folds=(0,), search_folds=1, test=True),
    )
    member = Member(config, TrainingData.from_images(data, [], torch.device("cpu")), None)
    return lambda number: member.train_epoch(number)["loss"]


# The limit


def make_bare_epoch(model: str, case: Case, data: ImageData) -> Epoch:
    """Return an epoch of a loop that does nothing but learn."""
    device = torch.device("cpu")
    network = make_network(model)
    keep_channels_last(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    normalize = Normalizer.of([MEAN], [STD], device=device)

    def train(_: int) -> float:
        network.train()
        loss_sum = torch.zeros(())
        for batch in torch.split(torch.randperm(len(labels)), BATCH):
            optimizer.zero_grad()
            logits = predict(network, normalize(images[batch]), case.precision)
            loss = cross_entropy(logits, labels[batch])
            torch.autograd.backward(loss)
            optimizer.step()
            loss_sum += loss.detach() * len(batch)
        return loss_sum.item() / len(labels)

    return train


def make_network(model: str) -> nn.Module:
    """Return a network of the family ``model``, with the initial weights of torch."""
    return build_model(
        ModelConfig(family=model),
        TrainingSettings(),
        image_shape=SHAPE,
        num_classes=NUM_CLASSES,
        key=(0,),
    )


# What you would write instead


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's datasets return them: converted to PIL, then transformed."""

    def __init__(self, data: ImageData, transform: Callable[[Image.Image], Tensor]) -> None:
        self._images = data.train_images[:, 0]
        self._labels = data.train_labels.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return an image and its label."""
        return self._transform(Image.fromarray(self._images[index])), self._labels[index]


def make_loader_epoch(model: str, case: Case, data: ImageData) -> Epoch:
    """Return an epoch of the usual loop, on a network of the same family."""
    _, height, width = SHAPE
    changes = [
        transforms.RandomHorizontalFlip(),
        transforms.RandomCrop((height, width), padding=TrainingSettings().crop_padding),
    ]
    chosen: list[Any] = changes if case.augmented else []
    transform = transforms.Compose(
        [*chosen, transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
    )
    loader = DataLoader(Pictures(data, transform), batch_size=BATCH, shuffle=True)
    network = make_network(model)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)

    def train(_: int) -> float:
        network.train()
        loss_sum, count = 0.0, 0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = cross_entropy(network(images), labels)
            torch.autograd.backward(loss)
            optimizer.step()
            loss_sum += loss.item() * len(labels)
            count += len(labels)
        assert count == len(data.train_labels), count
        return loss_sum / count

    return train


# Measuring


@functools.cache
def make_epoch(model: str, name: str, data_dir: Path | None, num_images: int) -> Epoch:
    """Return a case's epoch in this process; its network and images stay between calls."""
    case, data = CASES[name], load_images(data_dir, num_images)
    return _MAKE[case.loop](model, case, data)


_MAKE = {"member": make_member_epoch, "bare": make_bare_epoch, "loader": make_loader_epoch}


def measure_epoch(
    model: str, name: str, data_dir: Path | None, num_images: int, number: int
) -> float:
    """Train one epoch in this process; return its images per CPU second."""
    train = make_epoch(model, name, data_dir, num_images)
    num_trained = len(load_images(data_dir, num_images).train_labels)
    begin = time.process_time()
    loss = train(number)
    rate = num_trained / (time.process_time() - begin)
    # Skipping work is not speed, and a network that learns has a loss well below guessing.
    assert math.isfinite(loss), loss
    assert number < 3 or loss < math.log(NUM_CLASSES), loss
    return rate


def start_process(*, as_worker: bool) -> ProcessPoolExecutor:
    """Return a process to train in: with a worker's settings, or only with one thread."""
    prepare, argument = (prepare_process, 1) if as_worker else (torch.set_num_threads, 1)
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=prepare, initargs=(argument,))


def compare(
    models: list[str], names: list[str], data_dir: Path | None, num_images: int, repeats: int
) -> list[dict[str, Any]]:
    """Measure the cases in turn, ``repeats`` times after one run that does not count."""
    rates: dict[tuple[str, str], list[float]] = {
        (model, name): [] for model in models for name in names
    }
    with start_process(as_worker=True) as ours, start_process(as_worker=False) as theirs:
        for number in range(1, repeats + 2):
            for (model, name), taken in rates.items():
                process = theirs if CASES[name].loop == "loader" else ours
                arguments = (model, name, data_dir, num_images, number)
                rate = process.submit(measure_epoch, *arguments).result()
                if number > 1:
                    taken.append(rate)
                    print(f"{model} {name}: {rate:,.0f} images/s", file=sys.stderr)
    return [
        {
            "model": model,
            "training": name,
            "images_per_second": statistics.median(taken),
            "lowest": min(taken),
            "highest": max(taken),
            "reference": CASES[name].reference,
            "times_reference": statistics.median(taken)
            / statistics.median(rates[model, CASES[name].reference]),
        }
        for (model, name), taken in rates.items()
    ]


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print medians, lowest, highest and ratios."""
    print(f"{'images/s, one core':30} {'median':>8} {'lowest':>8} {'highest':>8} {'x loader':>9}")
    for row in rows:
        label = f"{row['model']} {row['training']}"
        rates = (row["images_per_second"], row["lowest"], row["highest"])
        cells = " ".join(f"{rate:8,.0f}" for rate in rates)
        print(f"{label:30} {cells} {row['times_reference']:9.2f}")


def profile(model: str, data_dir: Path | None, num_images: int) -> None:
    """Print torch's profile of searchlab's epoch in float32."""
    prepare_process(num_threads=1)
    train = make_epoch(model, "float32", data_dir, num_images)
    train(1)
    with torch.profiler.profile() as profiler:
        train(2)
    print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=20))


def main() -> None:
    """Compare or profile."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument(
        "--data-dir", type=Path, help="train on FashionMNIST, which this folder holds"
    )
    parser.add_argument("--images", type=int, default=3200, help="images per epoch")
    parser.add_argument(
        "--repeats", type=int, default=5, help="take the median of this many epochs"
    )
    parser.add_argument(
        "--bfloat16", action="store_true", help="measure it even if this processor emulates it"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--profile", action="store_true", help="profile the first model instead")
    options = parser.parse_args()
    if options.images < FEWEST_IMAGES:
        parser.error(f"--images must be at least {FEWEST_IMAGES}, so that a network learns")
    if options.profile:
        profile(options.models[0], options.data_dir, options.images)
        return
    has_bfloat16 = options.bfloat16 or choose_precision(num_gpus=0) == "bfloat16"
    names = [name for name in CASES if has_bfloat16 or CASES[name].precision == "float32"]
    try:
        rows = compare(options.models, names, options.data_dir, options.images, options.repeats)
    except InputError as error:  # errors of the data folder
        parser.error(str(error))
    if options.json:
        environment = {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
            "dataset": "fashion_mnist" if options.data_dir else "synthetic",
            "images": options.images,
            "batch": BATCH,
        }
        print(json.dumps({**environment, "rows": rows}, indent=2))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
