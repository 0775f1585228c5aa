"""What the adapters tell the ledger of what Ray Tune reports, and how faults stop a study."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from searchlab.engine.ray.adapters import (
    GraceStopper,
    LedgerScheduler,
    LedgerSearcher,
    SilentReporter,
)
from searchlab.engine.stopping import StopRequest
from searchlab.errors import InfrastructureError
from searchlab.study.outcome import TrialOutcome
from searchlab.training.memory import choose_batch_split

DIED = "The actor died unexpectedly before finishing this task."
OUT_OF_MEMORY = "2 worker(s) were killed due to the node running low on memory."


def trial_that_met(error: str, folder: Path) -> Any:
    """What Tune tells the scheduler of a trial whose worker died."""
    file = folder / "error.txt"
    file.write_text(error)
    return SimpleNamespace(trial_id="a", error_file=str(file))


class FakeLedger:
    """Remembers what it is told; fails where it is asked to."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.lost: list[tuple[int, str]] = []
        self.told: list[tuple[int, TrialOutcome | None, str | None]] = []
        self.stopped = 0
        self.is_waiting = False

    def ask(self) -> Any:
        if self.fault is not None:
            raise self.fault
        return SimpleNamespace(number=7, to_json=lambda: "{}")

    def note_worker_lost(self, number: int, what: str) -> None:
        self.lost.append((number, what))

    def tell(
        self, number: int, failure: TrialOutcome | None = None, *, node: str | None = None
    ) -> None:
        self.told.append((number, failure, node))

    def stop(self) -> None:
        self.stopped += 1

    def snapshot(self) -> Any:
        return SimpleNamespace(running=())


def begin(ledger: FakeLedger, stop: StopRequest, checkpoints: Path) -> Any:
    searcher = LedgerSearcher(ledger, stop, has_hosts=True)  # type: ignore[arg-type]
    return searcher, LedgerScheduler(searcher, stop, checkpoints)


def test_a_worker_killed_for_memory_makes_the_next_attempt_train_in_parts(tmp_path: Path) -> None:
    ledger = FakeLedger()
    searcher, scheduler = begin(ledger, StopRequest(), tmp_path)
    searcher.suggest("a")
    scheduler.on_trial_error(None, trial_that_met(DIED, tmp_path))
    assert choose_batch_split(tmp_path, 7) == 1
    scheduler.on_trial_error(None, trial_that_met(OUT_OF_MEMORY, tmp_path))
    assert choose_batch_split(tmp_path, 7) == 4
    scheduler.on_trial_error(None, trial_that_met(OUT_OF_MEMORY, tmp_path))
    with pytest.raises(MemoryError):
        choose_batch_split(tmp_path, 7)
    assert [number for number, _ in ledger.lost] == [7, 7, 7]


def test_a_note_that_the_disk_does_not_take_stops_the_study(tmp_path: Path) -> None:
    ledger, stop = FakeLedger(), StopRequest()
    in_the_way = tmp_path / "checkpoints"
    in_the_way.touch()
    searcher, scheduler = begin(ledger, stop, in_the_way)
    searcher.suggest("a")
    scheduler.on_trial_error(None, trial_that_met(OUT_OF_MEMORY, tmp_path))
    stop.close()
    assert isinstance(stop.fault, OSError)
    assert ledger.lost == [], "else it would be tried whole once more"


@pytest.mark.parametrize(("kind", "reason"), [("error", "error"), ("oom", "oom")])
def test_a_trial_fails_with_the_kind_its_worker_named(
    tmp_path: Path, kind: str, reason: str
) -> None:
    ledger = FakeLedger()
    searcher, _ = begin(ledger, StopRequest(), tmp_path)
    searcher.suggest("a")
    result = {"error": "E: no", "kind": kind, "node_ip": "10.0.0.3", "done": True}
    searcher.on_trial_complete("a", result)
    searcher.on_trial_complete("a", result)  # Tune may deliver it twice
    assert ledger.told == [
        (7, TrialOutcome(state="FAIL", reason=reason, error="E: no"), "10.0.0.3")
    ]


def test_a_dead_workers_trial_is_left_to_the_ledger(tmp_path: Path) -> None:
    ledger = FakeLedger()
    searcher, scheduler = begin(ledger, StopRequest(), tmp_path)
    searcher.suggest("a")
    scheduler.on_trial_error(None, trial_that_met(DIED, tmp_path))
    searcher.on_trial_complete("a", None, error=True)
    assert ledger.lost == [(7, "its worker died")]
    assert ledger.told == []


def test_a_full_disk_on_a_worker_stops_the_study_and_ends_no_trial(tmp_path: Path) -> None:
    ledger, stop = FakeLedger(), StopRequest()
    searcher, scheduler = begin(ledger, stop, tmp_path)
    searcher.suggest("a")
    full = {"error": "OSError: No space left", "kind": "disk", "node_ip": "10.0.0.3"}
    searcher.on_trial_complete("a", full)
    assert ledger.told == []
    assert isinstance(stop.fault, InfrastructureError)
    assert "trial 7 could not write its files on 10.0.0.3: OSError: No space left" in str(
        stop.fault
    )
    assert searcher.suggest("b") == "FINISHED"
    assert GraceStopper(scheduler, stop, tmp_path / "STOP", 0.0).stop_all()
    assert ledger.stopped == 1
    stop.close()


def test_what_the_ledger_raises_under_tune_stops_the_study_and_is_kept(tmp_path: Path) -> None:
    fault = InfrastructureError("the storage is away")
    ledger, stop = FakeLedger(fault), StopRequest()
    searcher, _ = begin(ledger, stop, tmp_path)
    assert searcher.suggest("a") == "FINISHED"
    assert stop.fault is fault
    ledger.fault = None
    assert searcher.suggest("b") == "FINISHED", "the ledger is left alone from then on"
    stop.close()


def test_tune_reports_nothing_in_a_notebook_whose_output_is_ours() -> None:
    reporter = SilentReporter()
    assert not reporter.should_report([], done=True)
    reporter.report([], True)
