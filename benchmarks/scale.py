"""What a long study costs its driver: every step with 100, 1,000 and 10,000 finished trials.

Trials have 20 epochs and 12 parameters in a space of families, in SQLite as in a run folder. Ask
and prune are compared with Optuna alone, the same sampler and pruner on an in-memory study of as
many trials; the two take turns in one process. Each size is measured in its own process, which
first resumes the study. Then 64 simulated workers each report twice a second.

    python benchmarks/scale.py
    python benchmarks/scale.py --trials 100 1000 --quick
    python benchmarks/scale.py --json
"""

from __future__ import annotations

import argparse
import cProfile
import heapq
import io
import itertools
import json
import os
import platform
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from long_study import (
    EPOCHS,
    STUDY,
    make_optuna_pruner,
    make_result,
    make_run,
    make_space,
    make_spec,
    open_in_memory,
    open_ledger,
    open_recorded,
)

PRUNERS = ("median", "successive_halving", "hyperband")
REPORTS_PER_SECOND = 2.0  # by each simulated worker


# Measuring


class Stopwatch:
    """Seconds by the step they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def time(self, name: str, act: Callable[..., Any], *arguments: Any) -> Any:
        """Run a step and record its time."""
        begin = time.perf_counter()
        outcome = act(*arguments)
        self.seconds.setdefault(name, []).append(time.perf_counter() - begin)
        return outcome

    def milliseconds(self) -> dict[str, float]:
        """Return the median of each step."""
        return {name: 1e3 * statistics.median(taken) for name, taken in self.seconds.items()}


def measure_steps(folder: Path, size: int, repeats: int) -> dict[str, Any]:
    """Resume the study, then time every step, searchlab's and Optuna's in turn."""
    before = peak_megabytes()
    begin = time.perf_counter()
    study = open_recorded(folder)
    ledger = open_ledger(folder, study)
    first = ledger.ask()
    resume = time.perf_counter() - begin
    outcome = {
        "size": size,
        "resume_s": resume,
        "driver_mb": peak_megabytes(),
        "study_mb": peak_megabytes() - before,
    }
    alone = open_in_memory(size)
    watch = Stopwatch()
    measure_trials(ledger, first, alone, watch, repeats)
    for pruner in PRUNERS:
        measure_pruner(pruner, folder, alone, watch, repeats)
    return {**outcome, **watch.milliseconds()}


def measure_trials(ledger: Any, config: Any, alone: Any, watch: Stopwatch, repeats: int) -> None:
    """Time ask, report and tell, and Optuna's ask alone."""
    space = make_space(make_spec())
    for repeat in range(repeats + 1):
        used = Stopwatch() if repeat == 0 else watch  # the first round warms up
        for epoch in range(1, EPOCHS + 1):
            used.time("report", ledger.report, make_result(config, epoch, 0.5))
        used.time("tell", ledger.tell, config.number)
        config = used.time("ask", ledger.ask)
        trial = used.time("ask alone", ask_alone, alone, space)
        alone.tell(trial, 0.5)


def ask_alone(study: Any, space: Any) -> Any:
    """Ask Optuna for a trial and all its parameters."""
    trial = study.ask()
    space.suggest(trial)
    return trial


def measure_pruner(name: str, folder: Path, alone: Any, watch: Stopwatch, repeats: int) -> None:
    """Time the decisions on trials that train to their end, which take the longest."""
    import optuna

    study = open_recorded(folder, name)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    alone.pruner = make_optuna_pruner(name)
    alone.sampler = optuna.samplers.RandomSampler(seed=0)
    space = make_space(make_spec())
    for repeat in range(repeats + 1):
        used = Stopwatch() if repeat == 0 else watch
        trial, other = ask_alone(study, space), ask_alone(alone, space)
        trial.set_user_attr("role", "search")
        for epoch in range(1, EPOCHS + 1):
            trial.report(0.9 + epoch / 1e3, epoch)
            other.report(0.9 + epoch / 1e3, epoch)
            pruned = used.time(name, trial.should_prune)
            assert pruned == used.time(f"{name} alone", other.should_prune), (name, epoch)
        study.tell(trial, 0.9)
        alone.tell(other, 0.9)


def measure_reading(folder: Path, size: int) -> dict[str, Any]:
    """Time the leaderboard, from opening the run to the verdict."""
    from rich.console import Console

    from searchlab.records.run_folder import RunFolder
    from searchlab.report.board_table import print_leaderboard, print_verdict
    from searchlab.report.leaderboard import build_leaderboard
    from searchlab.report.reading import read_study
    from searchlab.report.verdict import reach_verdict

    begin = time.perf_counter()
    reading = read_study(RunFolder(folder), None)
    read = time.perf_counter()
    board = build_leaderboard(reading.records, reading.spec)
    console = Console(file=io.StringIO(), width=100)
    print_leaderboard(console, board)
    print_verdict(console, reach_verdict(board, reading.records, reading.spec))
    assert len(reading.records) >= size
    return {"read_s": read - begin, "board_s": time.perf_counter() - read}


def measure_load(folder: Path, workers: int, seconds: float, pruner: str) -> dict[str, Any]:
    """Make simulated workers report on time, and measure how late the ledger records it.

    Every worker reports twice a second and starts the next trial when its own ends. As in the
    engine, one thread does everything, in the order in which the reports are due.
    """
    study = open_recorded(folder, pruner)
    ledger = open_ledger(folder, study, pruner)
    configs = [ledger.ask() for _ in range(workers)]
    period = 1.0 / REPORTS_PER_SECOND
    begin = time.perf_counter()
    # Each starts at another epoch, because trials of a long study do not start together.
    due = [
        (begin + period * worker / workers, worker, 1 + EPOCHS * worker // workers)
        for worker in range(workers)
    ]
    heapq.heapify(due)
    lags: list[float] = []
    sent: dict[int, list[float]] = {}
    busy = 0.0
    while due[0][0] < begin + seconds:
        at, worker, epoch = heapq.heappop(due)
        time.sleep(max(0.0, at - time.perf_counter()))
        started = time.perf_counter()
        config = configs[worker]
        value = 0.9 + 0.001 * epoch
        stopped = ledger.report(make_result(config, epoch, value))
        sent.setdefault(config.number, []).append(value)
        lags.append(time.perf_counter() - at)
        if stopped or epoch == EPOCHS:
            ledger.tell(config.number)
            configs[worker], epoch = ledger.ask(), 0
        busy += time.perf_counter() - started
        heapq.heappush(due, (at + period, worker, epoch + 1))
    taken = time.perf_counter() - begin
    recorded = {trial.number: trial for trial in open_recorded(folder).get_trials(deepcopy=False)}
    lost = sum(
        list(recorded[number].intermediate_values.values()) != values
        for number, values in sent.items()
    )
    return {
        "pruner": pruner,
        "workers": workers,
        "reports": len(lags),
        "trials": len(sent),
        "seconds": taken,
        "trials_with_loss": lost,
        "lag_median_ms": 1e3 * statistics.median(lags),
        "lag_p95_ms": 1e3 * statistics.quantiles(lags, n=20)[-1],
        "lag_max_ms": 1e3 * max(lags),
        "busy": busy / taken,
    }


def peak_megabytes() -> float:
    """Return the peak memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage includes the parent's memory at the fork
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# Running it


def run_apart(*options: object) -> dict[str, Any]:
    """Measure in a separate process."""
    command = [sys.executable, __file__, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{options} failed:\n{done.stderr[-4000:]}")
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def measure_part(part: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one part in this process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if part == "steps":
        return measure_steps(folder, options.size, options.repeats)
    if part == "reading":
        return measure_reading(folder, options.size)
    return measure_load(folder, options.workers, options.seconds, options.pruner)


def measure_all(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every size, then the workers at each."""
    outcome: dict[str, Any] = {
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "sizes": [],
        "load": [],
    }
    for size in options.trials:
        with tempfile.TemporaryDirectory(prefix="searchlab-benchmark-") as name:
            folder = Path(name) / STUDY
            begin = time.perf_counter()
            make_run(folder, size)
            filled = time.perf_counter() - begin
            print(f"{size} trials generated in {filled:.1f} s", file=sys.stderr)
            shared = ("--folder", folder, "--size", size)
            reading = run_apart(*shared, "--part", "reading")
            steps = run_apart(*shared, "--part", "steps", "--repeats", options.repeats)
            outcome["sizes"].append({**steps, **reading, "fill_s": filled})
            pace = ("--workers", options.workers, "--seconds", options.seconds)
            load = run_apart(*shared, "--part", "load", *pace, "--pruner", options.pruner)
            outcome["load"].append({"size": size, **load})
    return outcome


def print_tables(outcome: dict[str, Any]) -> None:
    """Print a column for each size."""
    sizes = outcome["sizes"]
    print(f"{'finished trials':26}" + "".join(f"{row['size']:>10,}" for row in sizes))
    for name in itertools.chain.from_iterable(sizes[:1]):
        if name != "size":
            unit = "" if name.endswith(("_s", "_mb")) else " ms"
            print(f"{name + unit:26}" + "".join(f"{row[name]:>10.2f}" for row in sizes))
    for row in outcome["load"]:
        print(
            f"\n{row['workers']} workers with {row['size']:,} finished trials, {row['pruner']}: "
            f"{row['reports']} reports of {row['trials']} trials in {row['seconds']:.1f} s, "
            f"{row['trials_with_loss']} trials with a loss; lag median {row['lag_median_ms']:.1f}, "
            f"p95 {row['lag_p95_ms']:.1f}, max {row['lag_max_ms']:.1f} ms; "
            f"busy {100 * row['busy']:.0f} %"
        )


def main() -> None:
    """Compare everything, or measure one part for ``run_apart``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=10, help="trials timed at each size")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="duration of the simulated reports"
    )
    parser.add_argument(
        "--pruner", choices=PRUNERS, default="hyperband", help="the pruner of the simulated trials"
    )
    parser.add_argument("--quick", action="store_true", help="3 repeats, 10 s, up to 1,000 trials")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--part", choices=("steps", "reading", "load"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.part:
        profiler = cProfile.Profile()
        if options.profile:
            profiler.enable()
        outcome = measure_part(options.part, options.folder, options)
        profiler.disable()
        if options.profile:
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("cumtime").print_stats(70)
        print(json.dumps(outcome))
        return
    if options.quick:
        options.repeats, options.seconds = 3, 10.0
        options.trials = [size for size in options.trials if size <= 1_000]
    outcome = measure_all(options)
    if options.json:
        print(json.dumps(outcome, indent=2))
    else:
        print_tables(outcome)


if __name__ == "__main__":
    main()
