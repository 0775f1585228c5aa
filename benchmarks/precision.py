"""What bfloat16 costs in accuracy: three networks, trained in it and in float32.

They are a2 of report 000, 2conv1fc of report 003, and a network with batch normalisation. Each is
trained with Adam in batches of 128, as a worker trains, from the weights and in the orders of each
of ``--seeds`` seeds, the same in both precisions. The loss of bfloat16 is the mean difference of a
pair in points of test accuracy, with a 95 % interval by Student's t: parity is an interval that
holds 0, or a gain.
It asks what the arithmetic costs, not how fast it is, so a processor that only emulates bfloat16
answers as well; ``training.py`` measures the speed.

    python benchmarks/precision.py --data-dir ~/datasets
    python benchmarks/precision.py --data-dir ~/datasets --images 60000 --epochs 10 --json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student

from searchlab.config.settings import Precision, TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, ObjectiveConfig, TrialConfig
from searchlab.data import ImageData, load_dataset
from searchlab.data.subset import limit_training
from searchlab.engine.precision import choose_precision
from searchlab.errors import InputError
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.process import prepare_process

MODELS = {
    "a2": ModelConfig(family="a2"),
    "2conv1fc": ModelConfig(family="2conv1fc"),
    "batch norm": ModelConfig(
        family="cnn", parameters={"depth": 2, "width": 16, "batch_norm": True}
    ),
}
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def train(model: str, precision: Precision, seed: int, epochs: int, data: TrainingData) -> float:
    """Train on all training images; return the test accuracy in percent after the last epoch."""
    config = TrialConfig(
        number=0,
        seed=seed,
        role="confirmation",
        dataset="fashion_mnist",
        model=MODELS[model],
        settings=TrainingSettings(epochs=epochs, precision=precision),
        objective=ObjectiveConfig(),
        folds=FoldPlan(num_folds=2, folds=(), search_folds=1, test=True),
    )
    cohort = Cohort(config, data)
    while not (result := cohort.run_epoch()).done:
        pass
    assert not result.diverged
    assert result.test is not None
    return 100 * result.test["accuracy"]


def compare(model: str, seeds: int, epochs: int, data: TrainingData) -> dict[str, Any]:
    """Return the accuracies of a network in both precisions, and what bfloat16 loses."""
    found: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for seed in range(seeds):
        for precision in PRECISIONS:
            found[precision].append(train(model, precision, seed, epochs, data))
        pair = ", ".join(f"{name} {values[-1]:.2f}" for name, values in found.items())
        print(f"{model}, seed {seed}: {pair}", file=sys.stderr)
    losses = [a - b for a, b in zip(found["float32"], found["bfloat16"], strict=True)]
    spread = float(student.ppf(0.975, seeds - 1)) * statistics.stdev(losses) / seeds**0.5
    mean = statistics.fmean(losses)
    return {
        "model": model,
        **{name: statistics.fmean(values) for name, values in found.items()},
        "accuracies": found,
        "loss": mean,
        "loss_from": mean - spread,
        "loss_to": mean + spread,
        "is_parity": mean - spread <= 0,
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print means, the loss of bfloat16 and its interval."""
    print(f"{'test accuracy, %':18} {'float32':>8} {'bfloat16':>8} {'loss':>6}  95 % interval")
    for row in rows:
        interval = f"{row['loss_from']:+.2f} to {row['loss_to']:+.2f}"
        verdict = "parity" if row["is_parity"] else "a loss"
        print(
            f"{row['model']:18} {row['float32']:8.2f} {row['bfloat16']:8.2f} {row['loss']:+6.2f}  "
            f"{interval}: {verdict}"
        )


def load(data_dir: Path, num_images: int, num_test: int) -> TrainingData:
    """Return part of FashionMNIST's training images, by class, and its first test images."""
    whole = limit_training(load_dataset("fashion_mnist", data_dir), num_images)
    images = ImageData(
        name=whole.name,
        train_images=whole.train_images,
        train_labels=whole.train_labels,
        test_images=np.ascontiguousarray(whole.test_images[:num_test]),
        test_labels=whole.test_labels[:num_test],
        num_classes=whole.num_classes,
    )
    return TrainingData.from_images(images, (), torch.device("cpu"))


def main() -> None:
    """Compare the precisions on each network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="holds FashionMNIST")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--images", type=int, default=6000, help="training images")
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=5, help="pairs of each network, at least 2")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(
            "--seeds must be at least 2, because one pair does not show how much they vary"
        )
    prepare_process(num_threads=1)
    try:
        data = load(options.data_dir, options.images, options.test_images)
    except InputError as error:
        parser.error(str(error))
    rows = [compare(model, options.seeds, options.epochs, data) for model in options.models]
    if options.json:
        environment = {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
            "is_emulated": choose_precision(num_gpus=0) != "bfloat16",
            "images": options.images,
            "epochs": options.epochs,
        }
        print(json.dumps({**environment, "rows": rows}, indent=2))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
