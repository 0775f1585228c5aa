"""TensorBoard: a folder of events for each trial, and one for the study."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.study.callbacks import (
    EpochEnd,
    ProgressSnapshot,
    StudyBegin,
    StudyCallback,
    StudyEnd,
    TrialBegin,
    TrialEnd,
)
from searchlab.trackers.contents import tell_epoch, tell_origin, tell_result, tell_state
from searchlab.trackers.registry import NoOptions, register_tracker

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["TensorBoardTracker"]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_MOST_CHARACTERS = 60  # of a folder's name


@register_tracker("tensorboard", packages=("tensorboard",), install="'searchlab[tensorboard]'")
class TensorBoardTracker(StudyCallback):
    """Writes events below ``folder``. A trial that begins again replaces what it had written."""

    def __init__(self, options: NoOptions, folder: Path) -> None:
        del options
        self._folder = folder
        self._live: dict[int, tuple[TrialBegin, SummaryWriter]] = {}

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        """Import what takes seconds."""
        del begin, snapshot
        import torch.utils.tensorboard  # noqa: F401

    def begin_trial(self, begin: TrialBegin) -> None:
        """Open the trial's folder."""
        if (before := self._live.pop(begin.number, None)) is not None:
            before[1].close()
        label = _NOT_IN_NAMES.sub("-", begin.label)
        name = f"{begin.number:04}-{begin.role}-{label}"[:_MOST_CHARACTERS]
        self._live[begin.number] = begin, self._open(name)

    def end_epoch(self, end: EpochEnd) -> None:
        """Write an epoch's figures."""
        _, writer = self._live[end.number]
        for name, figure in tell_epoch(end).items():
            writer.add_scalar(name, figure, end.epoch)
        writer.flush()  # so that who watches sees it

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        """Write the trial's hyperparameters and results, and close its folder."""
        from torch.utils.tensorboard.summary import hparams

        del snapshot
        begin, writer = self._live.pop(end.number)
        told = {**tell_origin(begin), **tell_state(end)}
        results = tell_result(end)
        for name, figure in results.items():
            writer.add_scalar(name, figure, end.epoch)
        # Not add_hparams, which opens a second file that TensorBoard may miss while it watches.
        file: Any = writer.file_writer
        for summary in hparams({**begin.params, **told}, results):  # type: ignore[no-untyped-call]
            file.add_summary(summary)
        writer.close()

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        """Write the verdict and the leaderboard."""
        from searchlab.report.dashboard.notes import write_board

        del snapshot
        for _, writer in self._live.values():
            writer.close()
        self._live.clear()
        writer = self._open("study")
        writer.add_text("leaderboard", write_board(end.records, end.spec))
        writer.close()

    def _open(self, name: str) -> SummaryWriter:
        """Return a writer to a folder, without the events that are there."""
        from torch.utils.tensorboard import SummaryWriter

        folder = self._folder / name
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink()
        return SummaryWriter(folder)
