"""Runs small studies with made-up results under trackers, whole or cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger_driving import NO_CHECKPOINTS, make_plan, make_result, make_spec, open_study, train
from optuna.storages import InMemoryStorage

from searchlab.config.study import StudySpec
from searchlab.records.run_folder import RunFolder
from searchlab.study.callbacks import JoinedCallbacks, StudyCallback
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail
from searchlab.trackers import make_trackers


class TrackedStudy:
    """A study of 2 baselines, 3 search trials, 1 finalist and 4 confirmations, and its run."""

    def __init__(self, folder: Path, **trackers: dict[str, Any]) -> None:
        self.run = RunFolder(folder / "runs" / "driven")
        self.spec = make_spec(
            search={"trials": 3}, confirm={"top": 1, "repeats": 2}, trackers=trackers
        )
        self.storage = InMemoryStorage()

    def open(self, callback: StudyCallback | None = None) -> Ledger:
        """Begin the study, or go on with it."""
        return Ledger(
            plan=make_plan(self.spec),
            study=open_study(self.spec, self.storage),
            checkpoints=NO_CHECKPOINTS,
            callback=callback or JoinedCallbacks(make_trackers(self.spec, self.run)),
        )

    def finish(self) -> None:
        """Run what is left; the first search trial fails, and the second diverges."""
        ledger = self.open()
        while (config := ledger.ask()) is not None:
            if config.number == 2:
                ledger.report(make_result(config, 1))
                ledger.tell(config.number, fail("no such layer"))
            elif config.number == 3:
                ledger.report(make_result(config, 1))
                ledger.report(make_result(config, 2, done=True, diverged=True, folds=()))
                ledger.tell(config.number)
            else:
                train(ledger, config)
        assert ledger.is_finished
        ledger.close()

    def cut_off(self) -> None:
        """Run the first baseline to its end, and the second one for an epoch."""
        ledger = self.open()
        train(ledger, _asked(ledger))
        ledger.report(make_result(_asked(ledger), 1))
        ledger.close()


def _asked(ledger: Ledger) -> Any:
    config = ledger.ask()
    assert config is not None
    return config


def spec_with(**trackers: dict[str, Any]) -> StudySpec:
    return make_spec(trackers=trackers)
