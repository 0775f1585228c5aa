"""The runs of a folder as optuna-dashboard lists them: new ones appear while it is open."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from searchlab.errors import InfrastructureError, InputError
from searchlab.records.run_folder import list_runs
from searchlab.report.dashboard.explained_run import ExplainedRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FoundRuns"]

_FRESH_SECONDS = 5.0  # for which the folder is not listed again


class FoundRuns:
    """The runs of a folder, each with a number that it keeps: the older, the smaller.

    A run that cannot be opened is told to ``on_problem`` in a line, once, and left out.
    """

    def __init__(self, folder: Path, on_problem: Callable[[str], None]) -> None:
        self._folder = folder
        self._on_problem = on_problem
        self._lock = threading.Lock()
        self._opened: dict[Path, ExplainedRun] = {}
        self._left_out: set[Path] = set()
        self._listed: list[ExplainedRun] = []
        self._listed_at: float | None = None

    def list_runs(self) -> list[ExplainedRun]:
        """Return those that are there."""
        with self._lock:
            is_old = self._listed_at is None or time.monotonic() - self._listed_at > _FRESH_SECONDS
            if is_old:
                self._listed = self._look()
                self._listed_at = time.monotonic()
            return self._listed

    def _look(self) -> list[ExplainedRun]:
        found = list_runs(self._folder)
        for run in reversed(found):
            # One whose study is about to be made is not there yet.
            if run.path in self._opened or run.path in self._left_out or run.is_pending:
                continue
            try:
                self._opened[run.path] = ExplainedRun(run, None, slot=len(self._opened))
            except (InputError, InfrastructureError) as error:
                self._left_out.add(run.path)
                self._on_problem(f"{run.path.name}: {'; '.join(str(error).splitlines())}")
        return [self._opened[run.path] for run in found if run.path in self._opened]
