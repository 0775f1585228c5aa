"""What a command costs before and beside its work: wall and CPU seconds of whole processes.

Each command that reads a run is started anew on a small finished study, which is run first, with
one epoch a trial. CPU seconds hardly depend on what else runs on the machine; wall seconds do. The
last rows are a study from its start to its first trial, in one process (``--engine serial``) and
on Ray, and the quickstart from its start to its report. CPU seconds include the processes that a
command waited for, but not in the rows that end at a first trial.

    python benchmarks/startup.py
    python benchmarks/startup.py --repeats 1
    python benchmarks/startup.py --beside ../searchlab-before    # in turn with another checkout
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
RUN = "startup"
QUICKSTART = ["study", "run", "quickstart"]
SERIAL = ["--engine", "serial"]
SMALL = [
    *("training.epochs=1", "search.trials=12", "baselines.architectures=[a2]"),
    *("confirm.top=1", "validation.folds=2"),
]
COMMANDS = [
    ["--help"],
    ["study", "list"],
    ["study", "status", RUN],
    ["study", "best", RUN],
    ["study", "leaderboard", RUN],
    ["trial", "show", RUN, "1"],
    ["study", "diff", RUN, "quickstart"],
    ["space", "show", "cnn"],
    ["data", "list"],
    ["doctor", RUN],
    ["study", "report", RUN],
]
FIRST_TRIAL = "SELECT count(*) FROM trials WHERE state != 'WAITING'"
POLL_SECONDS = 0.005

Seconds = tuple[float, float]
"""On the wall, and of CPU."""


def time_process(
    arguments: list[str],
    checkout: Path,
    folder: Path,
    is_enough: Callable[[], bool] = lambda: False,
    answers: tuple[int, ...] = (0,),
) -> Seconds:
    """Time a command until its end, or until ``is_enough``; then ask it to stop."""
    begin = time.perf_counter()
    process = psutil.Popen(
        [sys.executable, "-m", "searchlab", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        # wait4, because of the CPU seconds.
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        seconds = time.perf_counter() - begin
        if ended:
            break
        if is_enough():
            used = process.cpu_times()
            process.terminate()  # so that it stops its Ray as well
            os.waitpid(process.pid, 0)
            return seconds, used.user + used.system
        time.sleep(POLL_SECONDS)
    code = os.waitstatus_to_exitcode(status)
    if code not in answers:
        raise SystemExit(f"searchlab {' '.join(arguments)} ended with {code}")
    return seconds, usage.ru_utime + usage.ru_stime


def time_first_trial(engine: list[str], checkout: Path, folder: Path) -> Seconds:
    """Start a study, and end it when its first trial has begun."""
    name = f"begun-{time.monotonic_ns()}"
    database = folder / "runs" / name / "study.db"

    def has_begun() -> bool:
        with contextlib.suppress(sqlite3.Error):
            uri = f"{database.as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
                return bool(connection.execute(FIRST_TRIAL).fetchone()[0])
        return False

    arguments = [*QUICKSTART, *engine, "--set", f"name={name}"]
    return time_process(arguments, checkout, folder, has_begun)


def time_quickstart(checkout: Path, folder: Path) -> Seconds:
    """Run the quickstart to its end."""
    name = f"whole-{time.monotonic_ns()}"
    return time_process([*QUICKSTART, "--set", f"name={name}"], checkout, folder)


def measure(checkouts: list[Path], repeats: int, folder: Path) -> None:
    """Print the medians of each command, the checkouts in turn."""
    settings = [word for one in (f"name={RUN}", *SMALL) for word in ("--set", one)]
    time_process([*QUICKSTART, *SERIAL, *settings], checkouts[0], folder)
    # An exit code of 1 is an answer: two studies differ.
    rows: list[tuple[str, Callable[[Path], Seconds]]] = [
        (
            " ".join(command),
            partial(time_process, command, folder=folder, answers=(0, 1)),
        )
        for command in COMMANDS
    ]
    rows += [
        ("first trial, serial", partial(time_first_trial, SERIAL, folder=folder)),
        ("first trial, Ray", partial(time_first_trial, [], folder=folder)),
        ("quickstart", partial(time_quickstart, folder=folder)),
    ]
    print(f"{'':28}" + "".join(f"{one.resolve().name[:16]:>24}" for one in checkouts))
    print(f"{'':28}" + f"{'wall, s':>14}{'CPU, s':>10}" * len(checkouts))
    for name, run in rows:
        found: dict[Path, list[Seconds]] = {checkout: [] for checkout in checkouts}
        for repeat in range(repeats + 1):
            for checkout in checkouts:
                seconds = run(checkout)
                if repeat:  # the first may compile modules
                    found[checkout].append(seconds)
        print(
            f"{name:28}"
            + "".join(
                f"{statistics.median(one[0] for one in each):>14.2f}"
                f"{statistics.median(one[1] for one in each):>10.2f}"
                for each in found.values()
            ),
            flush=True,
        )


def main() -> None:
    """Measure this checkout, and others beside it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="take the median of this many")
    parser.add_argument("--beside", type=Path, action="append", default=[], metavar="CHECKOUT")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="searchlab-startup-") as folder:
        measure([ROOT, *options.beside], options.repeats, Path(folder))


if __name__ == "__main__":
    main()
