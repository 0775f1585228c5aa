"""Live progress of a running study on stderr: a small panel, or plain lines without a terminal."""

from __future__ import annotations

import sys
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from searchlab.cli.decoding_progress import make_decoding_progress
from searchlab.cli.notebooks import NotebookOutput, find_display
from searchlab.cli.plain_progress import (
    STAGES,
    PlainProgress,
    list_stages,
    name_ended,
    name_forecast_stage,
)
from searchlab.cli.terminal import escape_streams, make_console, make_text_console
from searchlab.config.metrics import get_metric
from searchlab.report.formatting import format_difference, format_duration, format_value
from searchlab.report.layout import plain_text, say
from searchlab.study.callbacks import NullCallback, StudyCallback

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

    from searchlab.data.decoding import Progress
    from searchlab.study.callbacks import (
        ProgressSnapshot,
        RoleCounts,
        StudyBegin,
        StudyEnd,
        TrialEnd,
    )

__all__ = [
    "LiveProgress",
    "NotebookProgress",
    "ProgressPanel",
    "decoding_shown_by",
    "make_progress",
    "shown_progress",
]

_NOTEBOOK_SECONDS = 0.5
_MAX_TOLD = 5
_MAX_RUNNING_ROWS = 5  # 13 lines in all at most: half of a small terminal


def make_progress(quiet: bool) -> StudyCallback:
    """Return the callback that suits the output: terminal, file or nothing."""
    if quiet:
        return NullCallback()
    if (display := find_display()) is not None:
        return NotebookProgress(NotebookOutput(display))
    # The panel is drawn on stderr, so stderr must be a terminal as well, and one that can.
    console = make_console(stderr=True)
    if sys.stdout.isatty() and sys.stderr.isatty() and not console.is_dumb_terminal:
        return LiveProgress(console)
    return PlainProgress()


def decoding_shown_by(progress: StudyCallback) -> Progress | None:
    """Return what shows beside ``progress`` how many image files are decoded."""
    if isinstance(progress, ProgressPanel):
        return progress.show_decoding
    return make_decoding_progress(quiet=isinstance(progress, NullCallback))


@contextmanager
def shown_progress(quiet: bool) -> Iterator[StudyCallback]:
    """Yield the callback that suits the output, and leave the terminal as it was."""
    callback = make_progress(quiet)
    try:
        yield callback
    finally:
        if isinstance(callback, ProgressPanel):
            callback.stop()


class ProgressPanel(StudyCallback):
    """What is shown of a study, as something that rich prints; whoever draws it overrides the rest.

    Until the study begins, and once its trials have ended, it says what else is done.
    """

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._phase = ""
        self._snapshot: ProgressSnapshot | None = None
        self._taken_at = 0.0
        self._is_closed = False

    def begin_phase(self, what: str) -> None:
        """Show what is done before the first trial, or after the last."""
        self._phase = what
        self.draw()

    def show_decoding(self, done: int, total: int) -> None:
        """Show how many image files are decoded."""
        self.begin_phase(f"decoding images: {done:,}/{total:,} ({done / total:.0%})")

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        """Show the study."""
        self.advance(snapshot)

    def announce(self, message: str) -> None:
        """Tell the message."""
        self.tell(message)

    def advance(self, snapshot: ProgressSnapshot) -> None:
        """Keep the snapshot for the next redraw."""
        if any(trial.epoch for trial in snapshot.running):
            self._phase = ""
        self._snapshot, self._taken_at = snapshot, time.monotonic()
        self.draw()

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        """Keep the snapshot, and tell of a failure."""
        if end.state == "FAIL":
            self.tell(f"{name_ended(end)} failed: {end.reason or 'unknown'}", style="red")
        self._phase = ""
        self.advance(snapshot)

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        """Leave the last panel on the screen."""
        self._phase = ""
        self.advance(replace(snapshot, running=()))
        self.stop()
        self._is_closed = True

    @property
    def has_study(self) -> bool:
        """Return whether the study's trials are shown: they have begun, and not all ended."""
        return self._snapshot is not None and not self._is_closed

    @abstractmethod
    def draw(self) -> None:
        """Show the panel as it is now."""

    @abstractmethod
    def tell(self, text: str, *, style: str = "") -> None:
        """Show a line that stays."""

    @abstractmethod
    def stop(self) -> None:
        """Draw no more; a panel without a study leaves nothing behind."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = time.monotonic()
        elapsed = format_duration(now - self._started_at)
        snapshot = self._snapshot
        if snapshot is None or self._is_closed:
            yield plain_text(f"{self._phase}  {elapsed}", overflow="ellipsis", no_wrap=True)
            return
        yield _title(snapshot, f"  {elapsed} elapsed{_forecast(snapshot, now - self._taken_at)}")
        yield _stage_bars(snapshot)
        if snapshot.running:
            yield _running_table(snapshot)
        yield plain_text(self._phase or _compare_best(snapshot), overflow="ellipsis", no_wrap=True)


class LiveProgress(ProgressPanel):
    """A panel that is redrawn four times a second, so that its clock ticks between two events."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._live = Live(self, console=console, refresh_per_second=4)

    def draw(self) -> None:
        """Begin to draw, if that has not begun."""
        if not self._live.is_started:
            self._live.start(refresh=True)
            escape_streams()  # rich has put its own, which print above the panel, before ours

    def tell(self, text: str, *, style: str = "") -> None:
        """Print above the panel."""
        say(self._console, text, style=style)

    def stop(self) -> None:
        """Stop drawing; a panel without a study leaves nothing behind."""
        self._live.transient = not self.has_study
        self._live.stop()


class NotebookProgress(ProgressPanel):
    """A panel in one output below a notebook's cell, redrawn at events, twice a second at most."""

    def __init__(self, output: NotebookOutput) -> None:
        super().__init__()
        self._output = output
        self._told: list[str] = []
        self._kept: list[str] = []  # what stays above the panel: the study, once it has ended
        self._due = 0.0

    def draw(self) -> None:
        """Draw the panel, if that is due."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _NOTEBOOK_SECONDS
            self._output.show("\n".join([*self._kept, self._render()]))

    def tell(self, text: str, *, style: str = "") -> None:
        """Show the line above the panel, with those before it."""
        del style
        self._told.append(text)
        self._due = 0.0
        self.draw()

    def stop(self) -> None:
        """Draw the panel once more; without a study leave nothing behind."""
        if self.has_study:
            self._kept, self._told = [self._render()], []
        self._output.show("\n".join(self._kept))

    def _render(self) -> str:
        console = make_text_console()
        with console.capture() as capture:
            for line in self._told[-_MAX_TOLD:]:
                say(console, line)
            console.print(self)
        return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _forecast(snapshot: ProgressSnapshot, age: float) -> str:
    if snapshot.remaining is None:
        return ""
    left = format_duration(round(max(0.0, snapshot.remaining.seconds - age)))
    return f", about {left} left{name_forecast_stage(snapshot.remaining)}"


def _title(snapshot: ProgressSnapshot, times: str) -> Text:
    title = plain_text(snapshot.study, "bold", overflow="ellipsis", no_wrap=True)
    title.append(times, "not bold")
    if snapshot.stopping:
        state = "stopping: waiting for running trials" if snapshot.running else "stopped"
        title.append(f"  {state}", "not bold yellow")
    return title


def _stage_bars(snapshot: ProgressSnapshot) -> Table:
    grid = Table.grid(padding=(0, 1))
    for role, counts in list_stages(snapshot):
        is_current = role == snapshot.stage
        grid.add_row(
            plain_text(STAGES[role], "bold" if is_current else "dim"),
            ProgressBar(total=max(counts.total, 1), completed=counts.ended, width=24),
            plain_text(f"{counts.ended}/{counts.total}"),
            plain_text(_describe_counts(counts), "dim"),
        )
    return grid


def _describe_counts(counts: RoleCounts) -> str:
    text = f"{counts.complete} done"
    if counts.pruned:
        text += f", {counts.pruned} pruned"
    if counts.failed:
        text += f", {counts.failed} failed"
    return text


def _running_table(snapshot: ProgressSnapshot) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    shown = snapshot.running[:_MAX_RUNNING_ROWS]
    for trial in shown:
        models = "1 model" if trial.num_models == 1 else f"{trial.num_models} models"
        grid.add_row(
            plain_text(f"  #{trial.number}"),
            plain_text(trial.label),
            plain_text(f"epoch {trial.epoch}/{trial.num_epochs}"),
            plain_text(models, "dim"),
            plain_text(format_value(snapshot.metric, trial.value)),
        )
    hidden = len(snapshot.running) - len(shown)
    return Group(grid, plain_text(f"  and {hidden} more", "dim")) if hidden else grid


def _compare_best(snapshot: ProgressSnapshot) -> str:
    """Write ``best 97.20 % (#9 cnn), 1.30 points better than baseline 95.90 % (#5 a2/DT)``."""
    best, baseline = snapshot.best_search, snapshot.best_baseline
    metric = snapshot.metric
    rival = "" if baseline is None else (
        f"baseline {format_value(metric, baseline.value)} (#{baseline.number} {baseline.label})"
    )  # fmt: skip
    if best is None:
        return f"best {rival}" if rival else "nothing finished yet"
    ours = f"best {format_value(metric, best.value)} (#{best.number} {best.label})"
    if baseline is None:
        return ours
    if snapshot.is_quick_look:
        return f"{ours}, best {rival}"
    gain = (best.value - baseline.value) * get_metric(metric).sign
    word = "better" if gain >= 0 else "worse"
    return f"{ours}, {format_difference(metric, gain)} {word} than {rival}"
