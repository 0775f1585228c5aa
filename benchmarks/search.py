"""Replay searches in milliseconds a trial, to compare samplers, pruners and starts.

The package's own samplers, pruners and start points drive an Optuna study in memory. Nothing is
trained: epochs come from a stand-in (``stand_in.py``) fitted to the tables of ``search_tables.py``.
Workers take trials as they become free, in simulated time. The goal is the median worth of what
random search finds in 100 full trials; what counts is the epochs after which half of the searches,
and 80 % of them, have found as much.

    python benchmarks/search.py --samplers tpe,gp --pruners none,median --seeds 20
    python benchmarks/search.py --small-budgets --starts reference,portfolio --seeds 100
    python benchmarks/search.py --samplers auto --pruners halving --folds 1,3,race --seeds 20

A portfolio is scored on a dataset from which it was not learnt.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import itertools
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from portfolio import learn
from search_tables import EPOCHS, LIMITS, SPACE, TABLE, read_table
from stand_in import FLAT, StandIn

from searchlab.config.study import StudySpec
from searchlab.search.pruning.registry import PRUNERS, make_pruner
from searchlab.search.samplers.registry import make_sampler
from searchlab.search.space.points import Point
from searchlab.search.space.study_space import SpecSpace
from searchlab.study import plan

FULL_TRIALS = 100
BUDGET = FULL_TRIALS * EPOCHS  # epochs that random search has
MOST_TRIALS = 4 * FULL_TRIALS  # if most are pruned
SMALL_BUDGETS = (5, 10, 20)
MANY_FOLDS = 3  # if a search trains more than one
RACE_SHARE = 1 / 3  # of the complete trials so far, whose other folds a race trains


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to search."""

    sampler: str = "tpe"
    pruner: str = "none"
    start: str = "reference"
    workers: int = 1
    trials: int = MOST_TRIALS
    warm: str = "none"  # what warms it: the best of the other dataset, or misleading points
    folds: str = "1"  # one, three, or three for those only that are ahead on one


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a search found: after each trial, the epochs used and the worth of the best."""

    epochs: list[int]
    worth: list[float]
    seconds: float  # of CPU time

    def worth_by_epoch(self, num_epochs: int) -> NDArray[np.float64]:
        """Return what the best was worth after each number of epochs, from none on."""
        ended = np.searchsorted(self.epochs, np.arange(num_epochs + 1), side="right")
        return np.array([0.0, *self.worth])[ended]

    def worth_after(self, trials: int) -> float:
        """Return what the best of the first trials to end is worth."""
        return self.worth[min(trials, len(self.worth)) - 1]


@cache
def stand_in(dataset: str, table: Path) -> StandIn:
    """Return the stand-in of a dataset."""
    return StandIn([row for row in read_table(table) if row.dataset == dataset])


@cache
def warm_points(warm: str, dataset: str, table: Path) -> list[Point]:
    """Return the three points that a study on another dataset gives, or three that mislead."""
    if warm == "none":
        return []
    is_misleading = warm == "misleading"
    rows = [row for row in read_table(table) if (row.dataset == dataset) == is_misleading]
    rows.sort(key=lambda row: -row.curves.mean(0).max())
    start = len(rows) // 2 if is_misleading else 0
    return [row.point for row in rows[start : start + 3]]


@cache
def learnt_elsewhere(dataset: str, table: Path) -> tuple[Point, ...]:
    """Return the portfolio that the other datasets give."""
    return tuple(learn(read_table(table), [other for other in LIMITS if other != dataset]))


def make_spec(setting: Setting, seed: int, warm: Sequence[Point] = ()) -> StudySpec:
    """Return the study that a user would write."""
    return StudySpec.model_validate(
        {
            "name": f"replay-{seed}",
            "dataset": {"name": "digits"},
            "space": SPACE.model_dump(),
            "search": {
                "sampler": setting.sampler,
                "pruner": setting.pruner,
                "start": setting.start,
                "trials": setting.trials,
                "warm_start": list(warm),
                "seed": seed,
            },
            "training": {"epochs": EPOCHS},
        }
    )


def replay(
    setting: Setting,
    trained: StandIn,
    seed: int,
    *,
    max_epochs: int = BUDGET,
    warm: Sequence[Point] = (),
) -> Replay:
    """Search once, in the order in which a ledger and workers of equal speed would."""
    spec = make_spec(setting, seed, warm)
    space = SpecSpace(spec)
    storage = InMemoryStorage()
    study = optuna.create_study(
        storage=storage,
        study_name=spec.name,
        direction="maximize",
        sampler=make_sampler(spec, space),
        pruner=make_pruner(spec.search.pruner, epochs=EPOCHS),
    )
    start = plan.plan_start(spec, space)
    proven: set[int] = set()
    begun = time.process_time()
    used, best, best_worth = 0, -np.inf, 0.0
    found = Replay(epochs=[], worth=[], seconds=0.0)
    asked = itertools.count()
    running: list[tuple[float, int, optuna.trial.Trial, Point, int]] = []
    values: list[float] = []
    at_once = MANY_FOLDS if setting.folds == "3" else 1

    def ask(now: float) -> None:
        if next(asked) >= setting.trials:
            return
        given = start.pop(0) if start else None
        if given is not None:
            study.enqueue_trial(given.point)
        trial = study.ask()
        if given is not None and given.key.startswith(plan.PORTFOLIO):
            proven.add(trial.number)  # the ledger never prunes it
        point = FLAT.active(space.suggest(trial))
        end = now + at_once * trained.seconds(point)
        heapq.heappush(running, (end, trial.number, trial, point, 1))

    for _ in range(setting.workers):
        ask(0.0)
    while running and used < max_epochs:
        now, number, trial, point, epoch = heapq.heappop(running)
        used += at_once
        curve = mean_curve(trained, point, seed, at_once)
        trial.report(float(curve[epoch - 1]), step=epoch)
        is_pruned = epoch < EPOCHS and number not in proven and trial.should_prune()
        if epoch < EPOCHS and not is_pruned:
            end = now + at_once * trained.seconds(point)
            heapq.heappush(running, (end, number, trial, point, epoch + 1))
            continue
        if is_pruned:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            value = float(curve.max())
            values.append(value)
            if setting.folds == "race" and value >= np.quantile(values, 1 - RACE_SHARE):
                used += (MANY_FOLDS - 1) * EPOCHS
                now += (MANY_FOLDS - 1) * EPOCHS * trained.seconds(point)
                value = float(mean_curve(trained, point, seed, MANY_FOLDS).max())
            study.tell(trial, value)
            if value > best:
                best, best_worth = value, trained.worth(point)
        found.epochs.append(used)
        found.worth.append(best_worth)
        ask(now)
    return Replay(epochs=found.epochs, worth=found.worth, seconds=time.process_time() - begun)


def mean_curve(trained: StandIn, point: Point, seed: int, num_folds: int) -> NDArray[np.float64]:
    """Return the accuracy of each epoch, averaged over the first folds of a study."""
    folds = [trained.curve(point, MANY_FOLDS * seed + fold) for fold in range(num_folds)]
    return np.asarray(np.mean(folds, axis=0))


def search_randomly(dataset: str, table: Path, num_seeds: int) -> list[Replay]:
    """Return random searches of full trials, without reference points."""
    setting = Setting(sampler="random", start="random", trials=FULL_TRIALS)
    return [replay(setting, stand_in(dataset, table), seed) for seed in range(num_seeds)]


def run(job: tuple[Setting, str, int, int, Path]) -> Replay:
    """Replay one search in a process of its own."""
    setting, dataset, seed, max_epochs, table = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Scored on a dataset from which it was not learnt.
    plan.read_portfolio = lambda: learnt_elsewhere(dataset, table)
    warm = warm_points(setting.warm, dataset, table)
    return replay(setting, stand_in(dataset, table), seed, max_epochs=max_epochs, warm=warm)


def measure_epochs(settings: Sequence[Setting], options: argparse.Namespace) -> None:
    """Print the epochs that each way to search needs to find what random search finds."""
    print(f"Epochs, of {options.epochs}, to what random search finds in {BUDGET}; then the median")
    print(f"worth (%) after {BUDGET // 8}, {BUDGET // 4} and {options.epochs} epochs.\n")
    columns = "dataset", "workers", "sampler", "pruner", "start", "warm start", "folds"
    print(f"| {' | '.join(columns)} | half | 80 % | worth | worth | worth | ms a trial |")
    print("|---|---:|---|---|---|---|---" + "|---:" * 6 + "|")
    for dataset in options.datasets:
        at_random = search_randomly(dataset, options.table, options.seeds)
        goal = float(np.median([one.worth[-1] for one in at_random]))
        print(f"| {dataset} | 1 | random | none | - | - | 1 | | | | | {100 * goal:.2f} | |")
        for setting in settings:
            jobs = [
                (setting, dataset, seed, options.epochs, options.table)
                for seed in range(options.seeds)
            ]
            results = options.map(run, jobs)
            worth = np.array([one.worth_by_epoch(options.epochs) for one in results])
            share = (worth >= goal).mean(0)
            found = np.median(worth[:, [BUDGET // 8, BUDGET // 4, options.epochs]], axis=0)
            seconds = sum(one.seconds for one in results)
            cost = 1e3 * seconds / sum(len(one.epochs) for one in results)
            print(
                f"| {dataset} | {setting.workers} | {setting.sampler} | {setting.pruner} "
                f"| {setting.start} | {setting.warm} | {setting.folds} "
                f"| {_first(share >= 0.5)} | {_first(share >= 0.8)} "
                f"| {' | '.join(f'{100 * one:.2f}' for one in found)} | {cost:.0f} |",
                flush=True,
            )


def _first(is_reached: NDArray[np.bool_]) -> str:
    return f"{is_reached.argmax()}" if is_reached.any() else f"> {len(is_reached) - 1}"


def measure_small_budgets(settings: Sequence[Setting], options: argparse.Namespace) -> None:
    """Print what the best of the first few trials is worth."""
    print("Worth (%) of the best after so many trials, and in how many studies (%) it is at least")
    print("that of the best family default (D) and of random search of as many trials (R).\n")
    head = " | ".join(f"{trials} | D | R" for trials in SMALL_BUDGETS)
    print(f"| dataset | sampler | pruner | start | {head} |")
    print("|---|---|---|---" + "|---:" * 3 * len(SMALL_BUDGETS) + "|")
    for dataset in options.datasets:
        trained = stand_in(dataset, options.table)
        spec = make_spec(Setting(), 0)
        starts = [FLAT.active(planned.point) for planned in plan.plan_start(spec, SpecSpace(spec))]
        default = max(map(trained.worth, starts))
        at_random = search_randomly(dataset, options.table, options.seeds)
        for setting in settings:
            few = dataclasses.replace(setting, trials=max(SMALL_BUDGETS))
            jobs = [(few, dataset, seed, BUDGET, options.table) for seed in range(options.seeds)]
            results = options.map(run, jobs)
            cells = []
            for trials in SMALL_BUDGETS:
                worth = np.array([one.worth_after(trials) for one in results])
                rival = np.array([one.worth_after(trials) for one in at_random])
                shares = 100 * np.mean(worth >= default), 100 * np.mean(worth >= rival)
                cells.append(f"{100 * worth.mean():.2f} | {shares[0]:.0f} | {shares[1]:.0f}")
            print(
                f"| {dataset} | {setting.sampler} | {setting.pruner} | {setting.start} "
                f"| {' | '.join(cells)} |",
                flush=True,
            )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--datasets", default=",".join(LIMITS), help="comma-separated, like the rest"
    )
    parser.add_argument("--samplers", default="random,qmc,cmaes,evolution,tpe,gp,auto")
    parser.add_argument("--pruners", default=",".join(PRUNERS))
    parser.add_argument("--workers", default="1,4,16")
    parser.add_argument("--starts", default="reference")
    parser.add_argument("--warm-starts", default="none", help="none, other or misleading")
    parser.add_argument("--folds", default="1", help="1, 3, or race: one first, then three")
    parser.add_argument("--epochs", type=int, default=BUDGET // 2, help="of each search")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--small-budgets", action="store_true")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    if options.epochs < BUDGET // 4:
        parser.error(f"--epochs must be at least {BUDGET // 4}, the goal, got {options.epochs}")
    for name in ("datasets", "samplers", "pruners", "workers", "starts", "warm_starts", "folds"):
        setattr(options, name, getattr(options, name).split(","))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    settings = [
        Setting(
            sampler=sampler,
            pruner=pruner,
            start=start,
            workers=int(workers),
            warm=warm,
            folds=folds,
        )
        for workers in options.workers
        for sampler in options.samplers
        for pruner in options.pruners
        for start in options.starts
        for warm in options.warm_starts
        for folds in options.folds
    ]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        options.map = pool.map
        if options.small_budgets:
            measure_small_budgets(settings, options)
        else:
            measure_epochs(settings, options)


if __name__ == "__main__":
    main()
