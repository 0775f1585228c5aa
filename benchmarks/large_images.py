"""What images cost that are too large for memory: read from their file against kept in memory.

The same member of a cohort trains on images in a file, uint8 as searchlab's cache of decoded images
has them, and on the first few thousand of them in memory. Each side has a process of its own, on
one thread, and they take turns; the memory is the most that the process on the file ever had. The
file is dropped from the page cache beforehand, so that its first reading comes from the disk.

    python benchmarks/large_images.py --folder /tmp                     # 100,000 images: 15 GB
    python benchmarks/large_images.py --folder /tmp --images 20000 --batches 10
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, ObjectiveConfig, TrialConfig
from searchlab.data import ImageData
from searchlab.data.statistics import ChannelSums
from searchlab.training.images import TrainingData
from searchlab.training.member import Member
from searchlab.training.process import prepare_process
from searchlab.training.stored_images import StoredImages

BATCH = 32
NUM_CLASSES = 10
NUM_TEST = 256
CHUNK = 1000
# Nothing at all, which is the hardest to keep supplied; the cheapest of the networks; a usual one.
MODELS = {
    "none": None,
    "a2": ModelConfig(family="a2", scheme="DT"),
    "resnet18": ModelConfig(family="torchvision", parameters={"model": "resnet18"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Images in ``folder``, of which ``num_images`` are used, in memory or in their file."""

    folder: Path
    num_images: int
    in_memory: bool


def write_images(folder: Path, num_images: int, size: int) -> None:
    """Write random images once; a file of that shape is kept."""
    rng = np.random.default_rng(0)
    for name, count in (("train", num_images), ("test", NUM_TEST)):
        file, shape = folder / f"{name}.npy", (count, 3, size, size)
        if file.exists() and np.load(file, mmap_mode="r").shape == shape:
            continue
        images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        for start in range(0, count, CHUNK):
            part = images[start : start + CHUNK]
            part[:] = np.frombuffer(rng.bytes(part.nbytes), np.uint8).reshape(part.shape)
        images.flush()


def drop_from_cache(file: Path) -> None:
    """Make the kernel forget the file's pages, where it can."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def open_data(place: Place) -> TrainingData:
    """Return the images as a worker would have them."""
    files = place.folder / "train.npy", place.folder / "test.npy"
    train, test = (np.asarray(np.load(file, mmap_mode="r")) for file in files)
    train = train[: place.num_images]
    labels = np.arange(len(train)) % NUM_CLASSES
    few = ChannelSums.from_images(train[:CHUNK])
    rows = np.arange(len(train)) % CHUNK
    data = ImageData(
        name="benchmark",
        train_images=train.copy() if place.in_memory else train,
        train_labels=labels,
        test_images=test,
        test_labels=np.arange(NUM_TEST) % NUM_CLASSES,
        num_classes=NUM_CLASSES,
        mapped_files=None if place.in_memory else files,
        # As the cache of decoded images keeps them.
        train_sums=ChannelSums(
            sums=few.sums[rows], squares=few.squares[rows], pixels_per_image=few.pixels_per_image
        ),
    )
    folds = (np.arange(0, len(train), 10), np.arange(5, len(train), 10))
    opened = TrainingData.from_images(data, folds, torch.device("cpu"))
    assert isinstance(opened.train_images, StoredImages) != place.in_memory
    return opened


def read_peak() -> int:
    """Return the most memory that this process had, in bytes (Linux).

    Not ``ru_maxrss``, which begins with that of the process that started this one.
    """
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


class Side:
    """One process: its images, and the member that trains on them."""

    data: TrainingData
    member: Member | None = None

    @classmethod
    def begin(cls, place: Place, model: ModelConfig | None) -> None:
        """Open the images, and train two batches to warm up."""
        prepare_process(1)
        cls.data = open_data(place)
        if model is None:
            return
        config = TrialConfig(
            number=0,
            seed=0,
            role="search",
            dataset="benchmark",
            model=model,
            settings=TrainingSettings(epochs=1000, batch_size=BATCH, dropout=0.0),
            objective=ObjectiveConfig(),
            folds=FoldPlan(num_folds=2, folds=(0,), search_folds=1, test=False),
        )
        cls.member = Member(config, cls.data, 0)
        cls.member.train_epoch(1, most_batches=2)

    @classmethod
    def train(cls, epoch: int, num_batches: int) -> tuple[float, float, int]:
        """Return images per second of the wall and of the processor, and the peak in bytes."""
        wall, cpu = time.perf_counter(), time.process_time()
        if cls.member is None:
            cls.fetch(epoch, num_batches)
        else:
            cls.member.train_epoch(epoch, most_batches=num_batches)
        count = BATCH * num_batches
        return (
            count / (time.perf_counter() - wall),
            count / (time.process_time() - cpu),
            read_peak(),
        )

    @classmethod
    def fetch(cls, epoch: int, num_batches: int) -> None:
        """Fetch batches and add up their pixels, as little as can be done with them."""
        drawing = torch.Generator().manual_seed(epoch)
        order = torch.randperm(len(cls.data.train_labels), generator=drawing)
        batches = torch.split(order, BATCH)[:num_batches]
        cls.data.expect(batches)
        for batch in batches:
            cls.data.training(batch)[0].sum()


def measure(
    sides: tuple[Place, Place], model: ModelConfig | None, *, num_batches: int, repeats: int
) -> Iterator[list[tuple[float, float, int]]]:
    """Let both sides take turns; yield what each measured, a turn at a time."""
    context = multiprocessing.get_context("spawn")
    pools = [ProcessPoolExecutor(1, mp_context=context) for _ in sides]
    try:
        for pool, place in zip(pools, sides, strict=True):
            pool.submit(Side.begin, place, model).result()
        for epoch in range(2, 2 + repeats):
            yield [pool.submit(Side.train, epoch, num_batches).result() for pool in pools]
    finally:
        for pool in pools:
            pool.shutdown()


def main() -> None:
    """Measure each network, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where to write the images")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--in-memory", type=int, default=3_000, help="images kept in memory")
    parser.add_argument("--batches", type=int, default=15, help="of a turn")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["none", "a2"])
    options = parser.parse_args()
    if options.images * options.size**2 * 3 <= 2**30 or options.in_memory > options.images:
        sys.exit("the images in the file must take more than 1 GB, and those in memory be fewer")
    options.folder.mkdir(parents=True, exist_ok=True)
    write_images(options.folder, options.images, options.size)
    drop_from_cache(options.folder / "train.npy")
    gigabytes = options.images * options.size**2 * 3 / 1e9
    print(f"{options.images:,} images of 3x{options.size}x{options.size}, {gigabytes:.1f} GB")
    print(f"{platform.machine()}, torch {torch.__version__}, batch {BATCH}, one thread\n")
    print("| network | images/s in memory | from the file | ratio | ratio in CPU time | memory |")
    print("|---|---|---|---|---|---|")
    sides = (
        Place(folder=options.folder, num_images=options.in_memory, in_memory=True),
        Place(folder=options.folder, num_images=options.images, in_memory=False),
    )
    for name in options.models:
        turns = list(
            measure(sides, MODELS[name], num_batches=options.batches, repeats=options.repeats)
        )
        memory, stored = ([turn[side] for turn in turns] for side in (0, 1))
        walls = [there[0] / here[0] for here, there in turns]
        cpus = [there[1] / here[1] for here, there in turns]
        print(
            f"| {name} | {statistics.median(one[0] for one in memory):,.0f} "
            f"| {statistics.median(one[0] for one in stored):,.0f} "
            f"| {statistics.median(walls):.2f} ({min(walls):.2f} to {max(walls):.2f}) "
            f"| {statistics.median(cpus):.2f} ({min(cpus):.2f} to {max(cpus):.2f}) "
            f"| {max(one[2] for one in stored) / 1e9:.2f} GB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
