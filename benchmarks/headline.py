"""The same space, images, machine and minutes: what does each way to search find?

Three sides search for the same time with two workers of one thread each:

- searchlab: ``searchlab study run``, with what ``study new`` chooses;
- tune: Ray Tune with OptunaSearch and ASHA around a data loader's loop, as their tutorials have it;
- optimize: ``study.optimize(n_jobs=2)`` with a median pruner around the same loop.

Each validates on the same fifth of the training images, and a trial has at most ``EPOCHS`` epochs.
The clock starts with the process, so imports and Ray's start count; what ends later does not. Then
the best configuration of each, by its validation accuracy, is trained once by the plain loop on all
training images and meets the test set.

    python benchmarks/headline.py --data-dir ~/datasets --keep headline.jsonl   # over three hours
    python benchmarks/headline.py --data-dir ~/datasets --seconds 120 --seeds 1 --datasets usps

With ``--keep``, each search and each test is written there as it ends, and the same command goes on
from there. Searches need idle cores; tests do not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

EPOCHS = 12
WORKERS = 2
DATASETS = ("fashion_mnist", "usps")
NUM_FOLDS = 5

# The space, for searchlab as a study has it, and below for the others as define-by-run.
WIDTHS, KERNELS, BATCHES = [8, 16, 32, 64], [3, 5], [32, 64, 128, 256]
SPACE: dict[str, Any] = {
    "parameters": {
        "lr": {"low": 1e-4, "high": 1e-1, "log": True},
        "batch_size": BATCHES,
        "optimizer": ["adam", "sgd"],
        "momentum": 0.9,
        "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
        "dropout": {"low": 0.0, "high": 0.6},
        "family": {
            "cnn": {
                "depth": {"low": 1, "high": 3},
                "width": {"each_layer": WIDTHS},
                "kernel": KERNELS,
                "batch_norm": [False, True],
            }
        },
    }
}

Values = dict[str, Any]


def suggest(trial: Any) -> Values:
    """Draw a configuration from an Optuna trial."""
    depth = trial.suggest_int("depth", 1, 3)
    return {
        "lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True),
        "batch_size": trial.suggest_categorical("batch_size", BATCHES),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "sgd"]),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "kernel": trial.suggest_categorical("kernel", KERNELS),
        "batch_norm": trial.suggest_categorical("batch_norm", [False, True]),
        "width": [trial.suggest_categorical(f"width{layer}", WIDTHS) for layer in range(depth)],
    }


def suggest_for_tune(trial: Any) -> None:
    """Draw a configuration as OptunaSearch wants it: it reads the trial, and pickles this."""
    suggest(trial)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a side found: the best configuration, its validation accuracy, and how much it saw."""

    values: Values
    accuracy: float
    trials: int
    epochs: int


# The loop that you would write


def train_plainly(
    values: Mapping[str, Any],
    name: str,
    data_dir: Path,
    *,
    seed: int,
    report: Callable[[int, float], None],
    on_test_set: bool = False,
) -> None:
    """Train by a data loader, as a tutorial has it; report the accuracy of each epoch.

    It is of the validation images, or ``on_test_set``, after training on all training images.
    """
    import numpy as np
    import torch
    from PIL import Image
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader
    from torchvision import transforms

    from searchlab.config.settings import TrainingSettings
    from searchlab.config.trial import ModelConfig
    from searchlab.data import stratified_folds
    from searchlab.models.build import build_model
    from searchlab.models.dropout import set_dropout_generator

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images = read_images(name, data_dir)
    mean, std = images.train_images.mean() / 255, images.train_images.std() / 255
    to_input = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])

    def load(pixels: Any, labels: Any, **options: Any) -> Any:
        pairs = [
            (Image.fromarray(one[0]), int(label)) for one, label in zip(pixels, labels, strict=True)
        ]

        def collate(batch: list[Any]) -> Any:
            inputs = torch.stack([to_input(image) for image, _ in batch])
            return inputs, torch.tensor([label for _, label in batch])

        return DataLoader(pairs, collate_fn=collate, **options)  # type: ignore[arg-type]

    pixels, labels = images.train_images, images.train_labels
    if on_test_set:
        training, held_out = (pixels, labels), (images.test_images, images.test_labels)
    else:
        is_held_out = np.zeros(len(labels), dtype=bool)
        is_held_out[stratified_folds(labels, num_folds=NUM_FOLDS, seed=0)[0]] = True
        training = (pixels[~is_held_out], labels[~is_held_out])
        held_out = (pixels[is_held_out], labels[is_held_out])
    batches = load(*training, batch_size=values["batch_size"], shuffle=True)
    checks = load(*held_out, batch_size=1000)
    width = tuple(values["width"])
    parameters = {
        "depth": len(width), "width": width, "kernel": values["kernel"],
        "batch_norm": values["batch_norm"],
    }  # fmt: skip
    model = build_model(
        ModelConfig(family="cnn", parameters=parameters),
        TrainingSettings(dropout=values["dropout"]),
        image_shape=images.image_shape,
        num_classes=images.num_classes,
        key=(seed, 0, 0),
    )
    set_dropout_generator(model, torch.Generator().manual_seed(seed))
    lr, decay = values["lr"], values["weight_decay"]
    optimizer = (
        torch.optim.Adam(model.parameters(), lr=lr, weight_decay=decay)
        if values["optimizer"] == "adam"
        else torch.optim.SGD(model.parameters(), lr=lr, weight_decay=decay, momentum=0.9)
    )
    for epoch in range(1, EPOCHS + 1):
        model.train()
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs), targets)
            torch.autograd.backward(loss)
            optimizer.step()
        model.eval()
        num_right = 0
        with torch.no_grad():
            for inputs, targets in checks:
                num_right += int((model(inputs).argmax(1) == targets).sum())
        report(epoch, num_right / len(held_out[1]))


def read_images(name: str, data_dir: Path) -> Any:
    """Return a dataset's images."""
    from searchlab.data import load_dataset
    from searchlab.data.request import DatasetRequest

    return load_dataset(DatasetRequest(name=name), data_dir)


# The sides


def search_by_searchlab(name: str, data_dir: Path, seconds: float, seed: int) -> Found:
    """Search by the command line; only epochs that ended in time count."""
    import optuna

    begun = time.time()
    with tempfile.TemporaryDirectory(prefix="searchlab-headline-") as folder:
        study = {
            "name": "headline",
            "dataset": {"name": name},
            "space": SPACE,
            "search": {
                "start": "portfolio", "pruner": "halving", "trials": 100_000, "timeout": seconds,
                "seed": seed,
            },
            "training": {"epochs": EPOCHS, "precision": "auto"},
            "validation": {"folds": NUM_FOLDS, "search_folds": 1},
            "baselines": {"architectures": []},
            "confirm": {"top": 0},
            "resources": {"workers": WORKERS, "cpus": 1},
            "report": {"diagnostics": []},
        }  # fmt: skip
        file = Path(folder) / "headline.yaml"
        file.write_text(json.dumps(study))
        places = ["--runs-dir", folder, "--data-dir", data_dir, "--quiet"]
        subprocess.run(
            [sys.executable, "-m", "searchlab", "study", "run", file, *map(str, places)],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        trials = optuna.load_study(
            study_name="headline", storage=f"sqlite:///{folder}/headline/study.db"
        ).trials
    bests, num_epochs = {}, 0
    for trial in trials:
        in_time = _accuracies_by(begun + seconds, trial)
        num_epochs += len(in_time)
        if in_time:
            bests[trial.number] = max(in_time)
    best = trials[max(bests, key=bests.__getitem__)]
    params = best.params
    depth = params["cnn.depth"]
    values = {name: params[name] for name in ("lr", "batch_size", "optimizer", "weight_decay")}
    values |= {name: params[f"cnn.{name}"] for name in ("kernel", "batch_norm")}
    values["dropout"] = params["dropout"]
    values["width"] = [params[f"cnn.layer{layer}.width"] for layer in range(depth)]
    return Found(
        values=values,
        accuracy=bests[best.number],
        trials=len(bests),
        epochs=num_epochs,
    )


def _accuracies_by(moment: float, trial: Any) -> list[float]:
    """Return the accuracies of the epochs that a trial of searchlab had ended by a moment."""
    from searchlab.records.trial_record import CURVES

    if trial.datetime_start is None:  # still waiting when the time was up
        return []
    seconds = trial.system_attrs.get(CURVES, {}).get("seconds", ())
    ends = itertools.accumulate(seconds, initial=trial.datetime_start.timestamp())
    return [
        accuracy
        for end, accuracy in zip(list(ends)[1:], trial.intermediate_values.values(), strict=True)
        if end <= moment
    ]


def search_by_tune(name: str, data_dir: Path, seconds: float, seed: int) -> Found:
    """Search by Ray Tune, OptunaSearch and ASHA."""
    begun = time.time()
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    def train(config: dict[str, Any]) -> None:
        depth = config["depth"]
        values = {**config, "width": [config[f"width{layer}"] for layer in range(depth)]}
        train_plainly(
            values,
            name,
            data_dir,
            seed=seed,
            report=lambda epoch, accuracy: tune.report({"accuracy": accuracy, "at": time.time()}),
        )

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory(prefix="tune-headline-") as folder:
        tuner = tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(suggest_for_tune, metric="accuracy", mode="max", seed=seed),
                scheduler=ASHAScheduler(metric="accuracy", mode="max", max_t=EPOCHS),
                num_samples=-1,
                time_budget_s=seconds - (time.time() - begun),
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        results = [result for result in tuner.fit() if result.metrics and "at" in result.metrics]
        frames = [result.metrics_dataframe for result in results]
    ray.shutdown()
    in_time = [frame[frame["at"] <= begun + seconds] for frame in frames if frame is not None]
    bests = [float(frame["accuracy"].max()) if len(frame) else 0.0 for frame in in_time]
    best = max(range(len(bests)), key=bests.__getitem__)
    config = dict(results[best].config or {})
    config["width"] = [config[f"width{layer}"] for layer in range(config["depth"])]
    return Found(
        values=config,
        accuracy=bests[best],
        trials=len(results),
        epochs=sum(map(len, in_time)),
    )


def search_by_optimize(name: str, data_dir: Path, seconds: float, seed: int) -> Found:
    """Search by Optuna alone, in two threads."""
    begun = time.time()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def train(trial: optuna.Trial) -> float:
        values = suggest(trial)
        trial.set_user_attr("values", values)
        accuracies: list[float] = []

        def report(epoch: int, accuracy: float) -> None:
            if time.time() > begun + seconds:
                trial.study.stop()
                raise optuna.TrialPruned
            accuracies.append(accuracy)
            trial.report(accuracy, step=epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        train_plainly(values, name, data_dir, seed=seed, report=report)
        return max(accuracies)

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(train, timeout=seconds - (time.time() - begun), n_jobs=WORKERS)
    trials = study.trials
    bests = [max(trial.intermediate_values.values(), default=0.0) for trial in trials]
    best = max(range(len(bests)), key=bests.__getitem__)
    return Found(
        values=trials[best].user_attrs["values"],
        accuracy=bests[best],
        trials=len(trials),
        epochs=sum(len(trial.intermediate_values) for trial in trials),
    )


SIDES: dict[str, Callable[[str, Path, float, int], Found]] = {
    "searchlab": search_by_searchlab,
    "tune": search_by_tune,
    "optimize": search_by_optimize,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One search: by which side, of which dataset, for how long, with which seed."""

    side: str
    dataset: str
    seconds: float
    seed: int


class Kept:
    """What searches and tests gave, in a file of JSON lines if there is one."""

    def __init__(self, file: Path | None) -> None:
        self.found: dict[Cell, Found] = {}
        self.tested: dict[Cell, float] = {}
        self._file = file
        if file is not None and file.exists():
            text = file.read_text()
            whole = text[: text.rfind("\n") + 1]
            if whole != text:  # a kill cut the last line off
                file.write_text(whole)
            for line in whole.splitlines():
                entry = json.loads(line)
                cell = Cell(**entry["cell"])
                if "test" in entry:
                    self.tested[cell] = entry["test"]
                else:
                    self.found[cell] = Found(**entry["found"])

    def add_search(self, cell: Cell, found: Found) -> None:
        """Keep what a search found."""
        self.found[cell] = found
        self._write({"cell": asdict(cell), "found": asdict(found)})

    def add_test(self, cell: Cell, accuracy: float) -> None:
        """Keep the test accuracy of what a search found."""
        self.tested[cell] = accuracy
        self._write({"cell": asdict(cell), "test": accuracy})

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file is not None:
            with self._file.open("a") as lines:
                lines.write(json.dumps(entry) + "\n")


def search_apart(cell: Cell, data_dir: Path) -> Found:
    """Search in a process of its own, so that its imports count and its memory is free again."""
    command = [
        sys.executable, __file__, "--side", cell.side, "--datasets", cell.dataset,
        "--seeds", str(cell.seed), "--seconds", str(cell.seconds), "--data-dir", str(data_dir),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def test(found: Found, cell: Cell, data_dir: Path) -> tuple[Cell, float]:
    """Return the test accuracy of a configuration, after the last epoch."""
    figures: list[float] = []
    train_plainly(
        found.values,
        cell.dataset,
        data_dir,
        seed=cell.seed,
        report=lambda _, accuracy: figures.append(accuracy),
        on_test_set=True,
    )
    return cell, figures[-1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--datasets", default=",".join(DATASETS))
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep results; go on from them")
    parser.add_argument("--side", choices=tuple(SIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    data_dir = options.data_dir.expanduser().absolute()
    if options.side is not None:  # --seeds is the seed itself here
        one = SIDES[options.side](options.datasets, data_dir, options.seconds, options.seeds)
        print(json.dumps(asdict(one)))
        return
    names = options.datasets.split(",")
    # Whoever stops early has as many seeds of each dataset.
    cells = [
        Cell(side=side, dataset=name, seconds=options.seconds, seed=seed)
        for seed in range(options.seeds)
        for name in names
        for side in SIDES
    ]
    kept = Kept(options.keep)
    for cell in cells:
        if cell not in kept.found:
            print(f"{time.strftime('%H:%M:%S')} {cell}", file=sys.stderr, flush=True)
            kept.add_search(cell, search_apart(cell, data_dir))
    jobs = [(kept.found[cell], cell, data_dir) for cell in cells if cell not in kept.tested]
    print(f"{time.strftime('%H:%M:%S')} {len(jobs)} tests", file=sys.stderr, flush=True)
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(test, *job) for job in jobs]
        for done in as_completed(futures):
            if done.exception() is None:
                kept.add_test(*done.result())
    for done in futures:
        done.result()  # raises the first error, after all that succeeded was kept
    print(f"{options.seconds:.0f} s a search, {WORKERS} workers; medians of {options.seeds} seeds")
    print("| dataset | side | trials | epochs | validation % | test % |")
    print("|---|---|---:|---:|---:|---:|")
    for name in names:
        for side in SIDES:
            places = [cell for cell in cells if (cell.dataset, cell.side) == (name, side)]
            results = [(kept.found[cell], kept.tested[cell]) for cell in places]
            print(f"| {name} | {side} | {_summarise(results)} |")


def _summarise(results: list[tuple[Found, float]]) -> str:
    columns = zip(
        *((one.trials, one.epochs, 100 * one.accuracy, 100 * test) for one, test in results),
        strict=True,
    )
    trials, epochs, accuracy, tested = map(statistics.median, columns)
    return f"{trials:.0f} | {epochs:.0f} | {accuracy:.2f} | {tested:.2f}"


if __name__ == "__main__":
    main()
