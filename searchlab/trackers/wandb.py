"""Weights & Biases: a run for each trial, grouped by study, and one for the study."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from searchlab.config.validation import Spec
from searchlab.errors import InputError
from searchlab.study.callbacks import (
    EpochEnd,
    ProgressSnapshot,
    StudyBegin,
    StudyCallback,
    StudyEnd,
    TrialBegin,
    TrialEnd,
)
from searchlab.trackers.contents import (
    name_trial,
    tell_answer,
    tell_epoch,
    tell_origin,
    tell_result,
    tell_state,
)
from searchlab.trackers.deliveries import Deliveries
from searchlab.trackers.registry import register_tracker

if TYPE_CHECKING:
    from wandb import Run

__all__ = ["WandbOptions", "WandbTracker"]

_STUDY = "study"


class WandbOptions(Spec):
    """Where the runs go."""

    project: str | None = Field(None, description="by default WANDB_PROJECT, or searchlab")
    entity: str | None = Field(None, description="by default WANDB_ENTITY, or the user's own")


@register_tracker("wandb", options=WandbOptions, packages=("wandb",), install="'searchlab[wandb]'")
class WandbTracker(StudyCallback):
    """Logs to Weights & Biases, or with WANDB_MODE=offline below ``folder``, to be synced later."""

    def __init__(self, options: WandbOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._key = self._study = ""
        self._live: dict[int, Run] = {}
        _check_login()

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        """Import what takes seconds."""
        del snapshot
        import wandb  # noqa: F401

        self._key = Deliveries(self._folder).key
        self._study = begin.spec.name

    def begin_trial(self, begin: TrialBegin) -> None:
        """Open the trial's run; if the trial begins again, the one from before goes on."""
        if (before := self._live.pop(begin.number, None)) is not None:
            before.finish(exit_code=1)
        config = {**begin.params, **tell_origin(begin)}
        self._live[begin.number] = self._open(
            str(begin.number), name_trial(begin), begin.role, config
        )

    def end_epoch(self, end: EpochEnd) -> None:
        """Log an epoch's figures. wandb drops steps that it has."""
        self._live[end.number].log(tell_epoch(end), step=end.epoch)

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        """Log how the trial ended, and end its run."""
        del snapshot
        run = self._live.pop(end.number)
        run.summary.update({**tell_result(end), **tell_state(end)})
        run.finish(exit_code=int(end.state == "FAIL"))

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        """Log the verdict; what was cut off is marked as failed until it goes on."""
        del snapshot
        for run in self._live.values():
            run.finish(exit_code=1)
        self._live.clear()
        run = self._open(_STUDY, end.spec.name, _STUDY, {"dataset": end.spec.dataset.name})
        run.summary.update(tell_answer(end))
        run.finish(exit_code=int(not end.is_finished))

    def _open(self, trial: str, name: str, role: str, config: Mapping[str, Any]) -> Run:
        import wandb

        settings = wandb.Settings(silent=True, console="off")
        return wandb.init(
            project=self._options.project or os.environ.get("WANDB_PROJECT") or "searchlab",
            entity=self._options.entity,
            dir=self._folder,
            id=f"{self._key}-{trial}",
            name=name,
            group=self._study,
            job_type=role,
            config=dict(config),
            resume="allow",
            reinit="create_new",
            settings=settings,
        )


def _check_login() -> None:
    """Raise InputError if wandb would ask for a key, which nobody could answer in a thread."""
    import wandb

    mode = os.environ.get("WANDB_MODE") or wandb.setup().settings.mode
    if mode in ("online", "shared") and not wandb.login(prompt=False, verify=False):
        raise InputError(
            "has no API key",
            where="the tracker wandb",
            remedy="Run wandb login, or set WANDB_MODE=offline",
        )
