"""Tells a tracker in a thread of its own: one that is slow or fails holds no study up."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from searchlab.errors import first_line
from searchlab.study.callbacks import (
    EndedTrial,
    EpochEnd,
    ProgressSnapshot,
    StudyBegin,
    StudyCallback,
    StudyEnd,
    TrialBegin,
    TrialEnd,
)
from searchlab.trackers.deliveries import Deliveries

__all__ = ["BackgroundTracker"]

logger = logging.getLogger(__name__)

_SILENT_SECONDS = 3.0
_STOPPING_SECONDS = 5.0  # of a study that was stopped: engine/stopping.py ends it after 20
_MOST_SECONDS = 60.0  # that the end of a study waits for a tracker


class BackgroundTracker(StudyCallback):
    """Passes events on in order, in a thread that starts with the first trial.

    Trials that ended before, and that the tracker does not know, come first. The first error ends
    it: it is reported once, and what is still to come is not passed on.
    """

    def __init__(
        self, name: str, tracker: StudyCallback, *, folder: Path, resume_command: str
    ) -> None:
        self._name = name
        self._tracker = tracker
        self._folder = folder
        self._resume_command = resume_command
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"tracker {name}", daemon=True)
        self._is_over = False  # it failed, or was left

    def begin_phase(self, what: str) -> None:
        """Pass it on."""
        self._pass(self._tracker.begin_phase, what)

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        """Pass it on, and what the tracker missed. The record is read here, in the driver."""
        self._pass(self._catch_up, begin, tuple(begin.read_ended()), snapshot)

    def announce(self, message: str) -> None:
        """Pass it on."""
        self._pass(self._tracker.announce, message)

    def advance(self, snapshot: ProgressSnapshot) -> None:
        """Pass it on."""
        self._pass(self._tracker.advance, snapshot)

    def begin_trial(self, begin: TrialBegin) -> None:
        """Pass it on; the first one starts the thread."""
        self._pass(self._tracker.begin_trial, begin)
        self._start()

    def end_epoch(self, end: EpochEnd) -> None:
        """Pass it on."""
        self._pass(self._tracker.end_epoch, end)

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        """Pass it on."""
        self._pass(self._end_trial, end, snapshot)

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        """Pass it on, unless nothing ran, and wait until the tracker knows all."""
        if end.records:
            self._start()
        if self._thread.ident is None:
            return
        self._pass(self._tracker.end_study, end, snapshot)
        self._events.put(None)
        self._wait(_MOST_SECONDS if end.is_finished else _STOPPING_SECONDS)

    def _wait(self, longest: float) -> None:
        self._thread.join(min(_SILENT_SECONDS, longest))
        if self._thread.is_alive():
            logger.warning("Waiting up to %g s for the tracker %s", longest, self._name)
            self._thread.join(longest)
        if self._thread.is_alive():
            self._is_over = True
            self._warn("does not keep up, so it is told no more")

    def _pass(self, told: Callable[..., None], *arguments: Any) -> None:
        if not self._is_over:
            self._events.put(lambda: told(*arguments))

    def _start(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        try:
            self._deliveries = Deliveries(self._folder)
            while (event := self._events.get()) is not None and not self._is_over:
                event()
        # A tracker is somebody else's code, and a server may answer anything.
        except Exception as error:
            logger.debug("the tracker %s failed", self._name, exc_info=True)
            if self._is_over:
                return  # that is reported
            self._is_over = True
            self._warn(
                f"failed, so it is told no more: {type(error).__name__}: {first_line(error)}"
            )

    def _warn(self, what: str) -> None:
        logger.warning(
            "The tracker %s %s. The study is not affected. To send what is missing: %s",
            self._name,
            what.rstrip("."),
            self._resume_command,
        )

    def _catch_up(
        self, begin: StudyBegin, ended: tuple[EndedTrial, ...], snapshot: ProgressSnapshot
    ) -> None:
        self._tracker.begin_study(begin, snapshot)
        for trial in ended:
            if trial.begin.number in self._deliveries:
                continue
            self._tracker.begin_trial(trial.begin)
            for epoch in trial.epochs:
                self._tracker.end_epoch(epoch)
            self._end_trial(trial.end, snapshot)

    def _end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        self._tracker.end_trial(end, snapshot)
        self._deliveries.add(end.number)
