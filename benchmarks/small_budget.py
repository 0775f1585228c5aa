"""With eight trials for real: does a search fall behind the families' own defaults?

Each study is what ``study new`` writes for the space ``cnn``: sampler auto, pruner halving, start
portfolio. Its baselines are the families' defaults, untuned. The best two search trials are trained
on all folds, as the baselines are, and the better of them is compared with the better baseline. The
spread is the standard deviation of that baseline over its folds. One trial at a time.

    python benchmarks/small_budget.py --data-dir ~/datasets
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import yaml

import searchlab

TRIALS = 8
DATASETS: dict[str, dict[str, Any]] = {
    "fashion_mnist": {"limit": 5_000},
    "imagenette": {"limit": 900, "size": 64},
}
SPACE = Path(__file__).parents[1] / "spaces" / "cnn.yaml"


def run_study(dataset: str, seed: int, data_dir: Path) -> tuple[float, float, float]:
    """Return the means over folds of the search's choice and the baseline, and the spread (%)."""
    with tempfile.TemporaryDirectory(prefix="searchlab-small-") as folder:
        run = searchlab.run_study(
            {
                "name": "small",
                "dataset": {"name": dataset, **DATASETS[dataset]},
                "space": yaml.safe_load(SPACE.read_text()),
                "search": {
                    "trials": TRIALS, "seed": seed, "pruner": "halving", "start": "portfolio",
                },
                "training": {"epochs": 8, "precision": "auto"},
                "validation": {"folds": 5, "search_folds": 1},
                "baselines": {"architectures": ["cnn", "fcn"], "schemes": ["DT"]},
                "confirm": {"top": 2, "repeats": 0},
                "report": {"diagnostics": []},
            },
            engine="serial", runs_dir=folder, data_dir=data_dir, progress=False,
        )  # fmt: skip
        board = run.leaderboard
    found = board[board["role"] == "finalist"].iloc[0]
    baseline = board[board["role"] == "baseline"].iloc[0]
    return found["cv_mean"], baseline["cv_mean"], baseline["cv_std"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--datasets", default=",".join(DATASETS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print(f"{TRIALS} search trials; means over 5 folds")
    print("| dataset | seed | searched % | baseline % | difference | spread of the folds |")
    print("|---|---:|---:|---:|---:|---:|")
    for dataset in options.datasets.split(","):
        for seed in range(options.seeds):
            found, baseline, spread = (100 * x for x in run_study(dataset, seed, options.data_dir))
            print(
                f"| {dataset} | {seed} | {found:.2f} | {baseline:.2f} | {found - baseline:+.2f} "
                f"| {spread:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
