"""How often a verdict is wrong, and what gap it finds: simulated studies, confirmed as real ones.

Each study searches configurations, ranks finalists and baselines by cross-validation, and compares
the best of both on a test set by ``searchlab.analysis.confirmation``. Without a gap, configurations
are equal, or differ only by what these training images do to each (``shared``): YES is false if the
finalist is worth no more than the baseline, both trained on these images.

    python benchmarks/verdict.py                       # every cell, 20 minutes on two cores
    python benchmarks/verdict.py --studies 200 --small
    python benchmarks/verdict.py --until               # searches that may end early
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from searchlab.analysis.confirmation import compare_scores
from searchlab.analysis.lead import find_needed_lead

Array = npt.NDArray[np.float64]

WORTH = 0.90  # accuracy of every configuration
FOLD_SPREAD = 0.003  # of a fold's value around the configuration's worth
DRAW_SPREAD = 0.003  # of a model's accuracy around its configuration's worth
SHARED_SPREAD = 0.003  # of configurations, by what these training images do to each
MARGIN = 0.005  # confirm.margin
NUM_REPEATS = 5
NUM_FINALISTS = 3
# An image is answered by its difficulty, by how it suits a configuration, and by luck.
DIFFICULTY, SUITS, LUCK = math.sqrt(0.6), math.sqrt(0.2), math.sqrt(0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A kind of study. ``gap`` is what searched configurations are worth above the baselines.

    ``images`` are those of the test set. With ``until``, the search ends once it is clearly ahead.
    """

    folds: int
    search_folds: int
    trials: int
    baselines: int
    shared: bool
    gap: float = 0.0
    images: int = 2_000
    until: bool = False


def list_cells(*, small: bool) -> list[Cell]:
    """Return the cells of the table, those without a gap first."""
    grid = itertools.product((5, 10), (1, 2, 5), (20, 60, 300), (1, 3, 6), (False, True))
    cells = [
        Cell(folds=folds, search_folds=search, trials=trials, baselines=baselines, shared=shared)
        for folds, search, trials, baselines, shared in grid
    ]
    gaps = [
        Cell(
            folds=folds,
            search_folds=1,
            trials=60,
            baselines=3,
            shared=False,
            gap=gap,
            images=images,
        )
        for folds in (5, 10)
        for gap in (0.005, 0.01)
        for images in (2_000, 10_000)
    ]
    return [cells[0], cells[17], cells[-1], *gaps[:4]] if small else [*cells, *gaps]


def list_early_cells() -> list[Cell]:
    """Return kinds of studies, each with its whole budget and with an early end."""
    kinds = itertools.product((0.0, 0.005, 0.01, 0.02), (False, True), (1, 2), (False, True))
    return [
        Cell(
            folds=5,
            search_folds=search,
            trials=60,
            baselines=3,
            shared=shared,
            gap=gap,
            until=until,
        )
        for gap, shared, search, until in kinds
    ]


def run_cell(cell: Cell, num_studies: int, seed: int) -> tuple[float, float, float]:
    """Return the shares of studies that say YES, and that say it though it is false.

    And the mean number of trials that they searched.
    """
    generator = np.random.default_rng(seed)
    said = wrong = searched = 0
    for _ in range(num_studies):
        ours, theirs, num_trials = choose_rivals(cell, generator)
        searched += num_trials
        found = compare_scores(
            *draw_scores(ours, theirs, cell.images, generator), bounds=(0.0, 1.0)
        )
        is_yes = found.difference > 0 and found.p_value < 0.05
        said += is_yes
        wrong += is_yes and ours <= theirs
    return said / num_studies, wrong / num_studies, searched / num_studies


def choose_rivals(cell: Cell, generator: np.random.Generator) -> tuple[float, float, int]:
    """Search and cross-validate; return what the chosen finalist and baseline are worth.

    And how many trials were searched.
    """
    worth = np.full(cell.trials + cell.baselines, WORTH)
    worth[: cell.trials] += cell.gap
    if cell.shared:
        worth += generator.normal(0, SHARED_SPREAD, len(worth))
    values = worth[:, None] + generator.normal(0, FOLD_SPREAD, (len(worth), cell.folds))
    on_search_folds = values[:, : cell.search_folds].mean(1)
    searched = on_search_folds[: cell.trials]
    if cell.until:
        rival = cell.trials + on_search_folds[cell.trials :].argmax()
        needed = find_needed_lead(
            values[rival].tolist(), num_search_folds=cell.search_folds, margin=MARGIN
        )
        ahead = np.flatnonzero(searched - on_search_folds[rival] >= needed)
        searched = searched[: ahead[0] + 1] if len(ahead) else searched
    finalists = np.argsort(-searched)[:NUM_FINALISTS]
    means = values.mean(1)
    finalist = finalists[means[finalists].argmax()]
    baseline = cell.trials + means[cell.trials :].argmax()
    return float(worth[finalist]), float(worth[baseline]), len(searched)


def draw_scores(
    ours: float, theirs: float, num_images: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Return which images each of both configurations' models answer rightly: [R, N] of each."""
    difficulty = DIFFICULTY * generator.normal(size=num_images)
    return _answer(ours, difficulty, generator), _answer(theirs, difficulty, generator)


def _answer(worth: float, difficulty: Array, generator: np.random.Generator) -> Array:
    accuracies = np.clip(worth + generator.normal(0, DRAW_SPREAD, NUM_REPEATS), 1e-6, 1 - 1e-6)
    suits = SUITS * generator.normal(size=len(difficulty))
    luck = LUCK * generator.normal(size=(NUM_REPEATS, len(difficulty)))
    return np.asarray(difficulty + suits + luck < ndtri(accuracies)[:, None], dtype=np.float64)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=int, default=10_000, help="simulated in each cell")
    parser.add_argument("--small", action="store_true", help="seven cells only")
    parser.add_argument("--until", action="store_true", help="searches that end early instead")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    cells = list_early_cells() if options.until else list_cells(small=options.small)
    jobs = [(cell, options.studies, options.seed + index) for index, cell in enumerate(cells)]
    columns: tuple[str, ...] = (
        "folds",
        "search folds",
        "trials",
        "baselines",
        "shared noise",
        "images",
        "gap",
    )
    columns += ("early end", "trials run") if options.until else ()
    print(f"| {' | '.join(columns)} | YES % | false YES % |")
    print("|---:|---:|---:|---:|---|---:|---:|" + "---|---:|" * options.until + "---:|---:|")
    with multiprocessing.get_context("spawn").Pool() as pool:
        results = pool.starmap(run_cell, jobs, chunksize=1)
        for cell, (said, wrong, searched) in zip(cells, results, strict=True):
            early = f"| {'yes' if cell.until else 'no'} | {searched:.0f} " * options.until
            print(
                f"| {cell.folds} | {cell.search_folds} | {cell.trials} | {cell.baselines} "
                f"| {'yes' if cell.shared else 'no'} | {cell.images:,} | {100 * cell.gap:.1f} "
                f"{early}| {100 * said:.1f} | {100 * wrong:.2f} |"
            )


if __name__ == "__main__":
    main()
