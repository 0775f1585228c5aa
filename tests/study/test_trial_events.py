"""What callbacks are told of trials: in order, and the same afterwards from the record."""

from __future__ import annotations

from ledger_driving import NO_CHECKPOINTS, make_plan, make_result, make_spec, open_study, run_to_end
from optuna.storages import InMemoryStorage

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
from searchlab.study.ledger import Ledger

SPEC = make_spec(search={"trials": 3}, confirm={"top": 1, "repeats": 2})


class Told(StudyCallback):
    """Keeps what it is told of each trial, and of the study."""

    def __init__(self) -> None:
        self.begun: list[TrialBegin] = []
        self.epochs: dict[int, list[EpochEnd]] = {}
        self.ended: list[EndedTrial] = []
        self.before: tuple[EndedTrial, ...] = ()
        self.study_end: StudyEnd | None = None

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        self.before = tuple(begin.read_ended())

    def begin_trial(self, begin: TrialBegin) -> None:
        self.begun.append(begin)
        self.epochs[begin.number] = []

    def end_epoch(self, end: EpochEnd) -> None:
        self.epochs[end.number].append(end)

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        [begin] = [begin for begin in self.begun if begin.number == end.number][-1:]
        self.ended.append(EndedTrial(begin=begin, epochs=tuple(self.epochs[end.number]), end=end))

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        self.study_end = end


def open_told(storage: InMemoryStorage) -> tuple[Ledger, Told]:
    told = Told()
    ledger = Ledger(
        plan=make_plan(SPEC),
        study=open_study(SPEC, storage),
        checkpoints=NO_CHECKPOINTS,
        callback=told,
    )
    return ledger, told


def test_the_record_tells_every_trial_as_it_was_told_while_it_ran() -> None:
    storage = InMemoryStorage()
    ledger, live = open_told(storage)
    run_to_end(ledger)
    ledger.close()
    _, afterwards = open_told(storage)
    assert {trial.end.role for trial in live.ended} == {
        "baseline", "search", "finalist", "confirmation",
    }  # fmt: skip
    assert list(afterwards.before) == live.ended
    assert live.study_end is not None
    assert live.study_end.is_finished
    assert [record.number for record in live.study_end.records] == [
        trial.end.number for trial in live.ended
    ]


def test_figures_are_means_over_the_search_folds_and_a_confirmation_has_its_own() -> None:
    ledger, told = open_told(InMemoryStorage())
    run_to_end(ledger)
    by_role = {trial.end.role: trial for trial in told.ended}
    first = by_role["finalist"].epochs[0]
    assert (first.training["loss"], first.validation["loss"]) == (1.0, 1.5)
    assert by_role["finalist"].begin.repeats is not None
    alone = by_role["confirmation"].epochs[1]
    assert (alone.epoch, alone.training["loss"], alone.validation) == (2, 0.375, {})


def test_a_trial_whose_worker_is_lost_begins_again() -> None:
    ledger, told = open_told(InMemoryStorage())
    config = ledger.ask()
    assert config is not None
    ledger.report(make_result(config, 1))
    ledger.note_worker_lost(config.number, "its worker died")
    assert ledger.ask() == config
    assert [begin.number for begin in told.begun] == [config.number] * 2
    ledger.report(make_result(config, 1, replayed=True))
    assert [end.epoch for end in told.epochs[config.number]] == [1]
