"""Shows on stderr how many epochs of one trial are trained."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from searchlab.cli.terminal import make_console

__all__ = ["epoch_progress"]


@contextmanager
def epoch_progress(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield what shows that so many epochs of so many are trained: a bar, or a line in a log."""
    if quiet:
        yield lambda _done, _total: None
        return
    if not sys.stderr.isatty():
        yield _Lines(what)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(f"{what}: epoch"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=make_console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show


class _Lines:
    """A line at the beginning, at the end, and at each tenth of the epochs."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told = -1

    def __call__(self, done: int, total: int) -> None:
        tenth = 10 * done // total
        if tenth > self._told:
            self._told = tenth
            sys.stderr.write(f"{self._what}: epoch {done}/{total}\n")
