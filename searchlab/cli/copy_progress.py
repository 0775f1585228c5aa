"""The progress of copying a study's trials, on a terminal's stderr; a log gets none of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from searchlab.cli.terminal import make_console

if TYPE_CHECKING:
    from searchlab.transfer.copying import CopyProgress

__all__ = ["copy_progress"]


@contextmanager
def copy_progress() -> Iterator[CopyProgress | None]:
    """Yield what shows a copy's progress until the block ends; None if stderr is no terminal.

    Optuna's own lines are silenced.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("copying trials"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=make_console(stderr=True), transient=True) as bar:
        task = bar.add_task("copy", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show
