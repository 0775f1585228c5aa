"""What training costs on one GPU: folds side by side, a whole grid, a data loader, several workers.

It needs torch, NumPy, Pillow and searchlab's training, but neither Ray nor Optuna: a bare GPU box
will do, with pydantic brought along on PYTHONPATH. It takes at most eight minutes (``--seconds``)
and prints a line as soon as it knows it; lines with GOAL are the project's goals. Images are drawn:
their number and size are FashionMNIST's, and speed depends on nothing else.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --json gpu.json
    python benchmarks/gpu.py --quick --device cpu   # that it runs; its figures mean nothing
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import multiprocessing
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, ObjectiveConfig, Scheme, TrialConfig
from searchlab.data import ImageData, stratified_folds
from searchlab.models.build import build_model
from searchlab.training.cohort import Cohort
from searchlab.training.graphed_steps import RecordingError
from searchlab.training.images import TrainingData
from searchlab.training.lockstep import train_together
from searchlab.training.machine import describe_machine
from searchlab.training.member import Member
from searchlab.training.memory import free_memory
from searchlab.training.process import limit_device_memory, prepare_process
from searchlab.training.run import TrialFolders, TrialRun

FOLDS = (0, 1, 2, 3, 4)
BATCH = 128
NUM_CLASSES = 10
SHAPE = (1, 28, 28)
MEAN, STD = 0.2860, 0.3530  # FashionMNIST's, as you would write them
GRID: tuple[tuple[str, Scheme], ...] = tuple(
    (family, scheme) for family in ("a1", "a2") for scheme in ("HF", "HT", "DT")
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured."""

    images: int = 60_000
    rounds: int = 5
    grid_epochs: int = 20
    workers: tuple[int, ...] = (1, 2, 4)
    worker_trials: int = 3
    worker_epochs: int = 3


QUICK = Scale(images=400, rounds=1, grid_epochs=2, workers=(1, 2), worker_trials=1, worker_epochs=1)


class Report:
    """Prints each figure as it is known, and keeps all for ``--json``."""

    def __init__(self, path: Path | None, seconds: float) -> None:
        self._path = path
        self._start = time.perf_counter()
        self._seconds = seconds
        self.figures: dict[str, Any] = {}

    def has_time_for(self, seconds: float) -> bool:
        """Return whether something that takes so long may begin."""
        return time.perf_counter() - self._start + seconds < self._seconds

    def note(self, name: str, figure: Any) -> None:
        """Print a figure, and write all so far, because a box may be taken away at any time."""
        self.figures[name] = figure
        print(f"{time.perf_counter() - self._start:6.1f} s  {name}: {figure}", flush=True)
        if self._path is not None:
            self._path.write_text(json.dumps(self.figures, indent=1) + "\n")

    def goal(self, name: str, figure: float, *, is_met: bool) -> None:
        """Print a figure that the project has a goal for."""
        self.note(f"GOAL {name}", f"{figure:.3g} ({'met' if is_met else 'missed'})")


def draw_images(count: int) -> ImageData:
    """Return noise with a bright bar that shows the class."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % NUM_CLASSES
    images = generator.integers(0, 128, (count, *SHAPE), dtype=np.uint8)
    for label in range(NUM_CLASSES):
        images[labels == label, :, 2 * label + 4 : 2 * label + 6] += 127
    return ImageData(
        name="drawn",
        train_images=images,
        train_labels=labels,
        test_images=images[: count // 6],
        test_labels=labels[: count // 6],
        num_classes=NUM_CLASSES,
    )


def load(scale: Scale, device: torch.device, share: float = 1.0) -> TrainingData:
    """Return the drawn images, with five folds, for a share of a GPU."""
    images = draw_images(scale.images)
    folds = stratified_folds(images.train_labels, num_folds=len(FOLDS), seed=0)
    return TrainingData.from_images(images, folds, device, share=share)


def configure(family: str, scheme: Scheme = "DT", **settings: Any) -> TrialConfig:
    """Return a trial as report 000 trains it."""
    common = {"epochs": 20, "batch_size": BATCH, "optimizer": "adam", "lr": 3e-4}
    return TrialConfig(
        number=0,
        seed=0,
        role="baseline",
        dataset="drawn",
        normalize="unit",
        model=ModelConfig(family=family, scheme=scheme),
        settings=TrainingSettings(**{**common, "cuda_graphs": True, **settings}),
        objective=ObjectiveConfig(at="last"),
        folds=FoldPlan(num_folds=len(FOLDS), folds=FOLDS, search_folds=1, test=True),
    )


def wait(device: torch.device) -> None:
    """Wait until a GPU has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take_seconds(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of a run, to the end of what it gave a GPU to do."""
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start


def measure_folds(data: TrainingData, scale: Scale, report: Report) -> None:
    """Compare an epoch of one fold of a2 and of all, in turn, each by graphs and without."""
    trial = configure("a2", epochs=10_000)
    teams = {
        (graphed, count): [Member(trial, data, fold, graphed=graphed) for fold in FOLDS[:count]]
        for graphed in (False, True)
        for count in (1, len(FOLDS))
    }
    taken: dict[tuple[bool, int], list[float]] = {team: [] for team in teams}
    for epoch in range(1, scale.rounds + 3):
        for team, members in teams.items():

            def train(members: list[Member] = members, epoch: int = epoch) -> None:
                train_together(members, epoch)

            seconds = take_seconds(train, data.device)
            if epoch > 2:  # the first epochs record each size of batch
                taken[team].append(seconds)
    medians = {team: statistics.median(seconds) for team, seconds in taken.items()}
    num_steps = math.ceil(len(data.split(0)[0]) / BATCH)
    for (graphed, count), seconds in medians.items():
        name = f"a2, {count} folds, {'graphs' if graphed else 'no graphs'}: us a step of all"
        report.note(name, round(seconds / num_steps * 1e6, 1))
    ratio = medians[True, len(FOLDS)] / medians[True, 1]
    report.goal("five folds of a2 / one fold (at most 1.5)", ratio, is_met=ratio <= 1.5)
    is_same = all(
        torch.equal(one, other)
        for plain, graphed in zip(teams[False, 5], teams[True, 5], strict=True)
        for one, other in zip(plain.snapshot().values(), graphed.snapshot().values(), strict=True)
    )
    report.note("graphs end at the same bits as without", is_same)


def measure_grid(data: TrainingData, scale: Scale, report: Report) -> None:
    """Train report 000's grid: each network on five folds and on all images, validated."""
    total = 0.0
    for family, scheme in GRID:
        trial = configure(family, scheme, epochs=scale.grid_epochs)
        cohort = Cohort(trial, data, graphed=True)
        epochs = [take_seconds(cohort.run_epoch, data.device) for _ in range(scale.grid_epochs)]
        del cohort
        free_memory()
        total += sum(epochs)
        report.note(
            f"{family}/{scheme}, six models: seconds of the first epoch, median of the others",
            [round(epochs[0], 3), round(statistics.median(epochs[1:]), 3)],
        )
    name = "report 000's grid of 6 networks x 6 models x 20 epochs, seconds (under 60)"
    report.goal(name, total, is_met=total < 60 and scale.grid_epochs == 20)


class Pictures(Dataset[tuple[Tensor, int]]):
    """The images as PIL images, each made a normalised tensor when it is asked for."""

    def __init__(self, data: ImageData) -> None:
        self._pictures = [Image.fromarray(image[0]) for image in data.train_images[: 50 * BATCH]]
        self._labels = data.train_labels.tolist()

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        # What torchvision's ToTensor and Normalize do, which a bare box may lack.
        pixels = torch.from_numpy(np.array(self._pictures[index], copy=True))[None]
        pixels = pixels.to(torch.get_default_dtype()).div(255)
        return pixels.sub_(MEAN).div_(STD), self._labels[index]


def measure_loader(data: TrainingData, scale: Scale, report: Report) -> None:
    """Compare an epoch of a member with the loop that you would write, on the same GPU."""
    loader = DataLoader(Pictures(draw_images(scale.images)), batch_size=BATCH, shuffle=True)
    trial = configure("a2", epochs=10_000)
    network = build_model(
        trial.model, trial.settings, image_shape=SHAPE, num_classes=NUM_CLASSES, key=(0,)
    ).to(data.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=trial.settings.lr)

    def train_by_loader() -> None:
        for images, labels in loader:
            optimizer.zero_grad()
            loss = cross_entropy(network(images.to(data.device)), labels.to(data.device))
            torch.autograd.backward(loss)
            optimizer.step()
            loss.item()

    member = Member(trial, data, 0, graphed=True)
    train_by_loader()
    for epoch in (1, 2):
        member.train_epoch(epoch)
    ours: list[float] = []
    theirs: list[float] = []
    for epoch in range(3, scale.rounds + 3):

        def train(epoch: int = epoch) -> None:
            member.train_epoch(epoch)

        ours.append(member.num_training_images / take_seconds(train, data.device))
        seconds = take_seconds(train_by_loader, data.device)
        theirs.append(50 * BATCH / seconds if scale.images > 50 * BATCH else scale.images / seconds)
    rates = statistics.median(ours), statistics.median(theirs)
    report.note("a2, images/s: one member, data loader", [round(rate) for rate in rates])
    ratio = rates[0] / rates[1]
    report.goal("a2, one member / data loader (at least 20)", ratio, is_met=ratio >= 20)


def work(device_type: str, share: float, scale: Scale, ready: Any, begin: Any, done: Any) -> None:
    """Train trials of a2 one after the other on a share of the GPU, as a worker does."""
    device = torch.device(device_type)
    prepare_process(1, device)
    limit_device_memory(device, share)
    data = load(scale, device, share)
    trial = configure("a2", epochs=scale.worker_epochs)

    def run(number: int, folder: Path) -> None:
        run = TrialRun(
            dataclasses.replace(trial, number=number),
            data,
            TrialFolders(checkpoints=folder / "checkpoints", models=folder / "models"),
        )
        while not run.step().done:
            pass

    with tempfile.TemporaryDirectory() as folder:
        run(0, Path(folder))
        wait(device)
        ready.release()
        begin.wait()
        for number in range(1, scale.worker_trials + 1):
            run(number, Path(folder))
        wait(device)
        done.release()


def measure_workers(device: torch.device, scale: Scale, report: Report) -> None:
    """Count the trials that an hour has room for, with several processes on one GPU."""
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    rates: dict[int, float] = {}
    for count in scale.workers:
        ready, done, begin = context.Semaphore(0), context.Semaphore(0), context.Event()
        workers = [
            context.Process(
                target=work, args=(device.type, 1 / count, scale, ready, begin, done), daemon=True
            )
            for _ in range(count)
        ]
        for worker in workers:
            worker.start()
        try:
            _acquire(ready, workers)
            start = time.perf_counter()
            begin.set()
            _acquire(done, workers)
            seconds = time.perf_counter() - start
        finally:
            for worker in workers:
                worker.join(timeout=10)
                worker.terminate()
        rates[count] = count * scale.worker_trials * 3600 / seconds
        epochs = f"{scale.worker_epochs} epochs of six models of a2"
        report.note(f"trials an hour, {count} workers ({epochs})", round(rates[count]))
    best = max(rates, key=rates.__getitem__)
    report.note("workers with the most trials an hour", best)


def _acquire(semaphore: Any, workers: list[Any]) -> None:
    """Wait for every worker. Raises RuntimeError if one has ended instead."""
    for _ in workers:
        while not semaphore.acquire(timeout=1):
            if any(worker.exitcode not in (None, 0) for worker in workers):
                raise RuntimeError("a worker ended")


def main() -> None:
    """Measure what there is time for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to see that it runs")
    parser.add_argument("--quick", action="store_true", help="a few images, one round")
    parser.add_argument("--seconds", type=float, default=450, help="begin nothing after these")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU; --device cpu --quick shows that the script runs")
    scale = QUICK if options.quick else Scale()
    report = Report(options.json, options.seconds)
    prepare_process(1, device)
    report.note("machine", str(describe_machine(device)))
    data = load(scale, device)
    sections: dict[str, tuple[float, Callable[[], None]]] = {
        "folds": (40, lambda: measure_folds(data, scale, report)),
        "loader": (60, lambda: measure_loader(data, scale, report)),
        "grid": (120, lambda: measure_grid(data, scale, report)),
        "workers": (120, lambda: measure_workers(device, scale, report)),
    }
    for name, (seconds, measure) in sections.items():
        if not report.has_time_for(0 if options.quick else seconds):
            report.note(name, "left out: no time")
            continue
        try:
            measure()
        # So that one fault does not cost the figures of the others.
        except (RuntimeError, AssertionError, RecordingError) as error:
            traceback.print_exc()
            report.note(f"{name} FAILED", f"{type(error).__name__}: {error}"[:300])
    if device.type == "cuda":
        report.note("memory reserved at most, MB", round(torch.cuda.max_memory_reserved() / 1e6))


if __name__ == "__main__":
    main()
