"""What a report and a pruner's decision ask of the database does not grow with the study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState
from quick_disk import open_quickly

from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.records.storage.row_storage import RowStorage
from searchlab.search.pruning.registry import make_pruner

EPOCHS = 10  # which the longest of the rungs, 9, still ends before
PRUNERS = ["median", "successive_halving", "hyperband"]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[RetryingStorage]:
    with open_quickly(tmp_path / "study.db") as opened:
        yield opened


def open_study(storage: RetryingStorage, pruner: str) -> Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage,
        study_name="long",
        direction="maximize",
        sampler=RandomSampler(seed=0),
        pruner=make_pruner(pruner, epochs=EPOCHS),
    )


def begin(study: Study) -> Trial:
    trial = study.ask()
    trial.suggest_float("lr", 0.0, 1.0)
    trial.set_user_attr("role", "search")
    return trial


def train(trial: Trial) -> None:
    """Train a trial that is never stopped, being the best so far."""
    for epoch in range(1, EPOCHS + 1):
        trial.report(trial.number + epoch / 100, epoch)
        assert not trial.should_prune()


def finish(study: Study, count: int) -> None:
    for _ in range(count):
        trial = begin(study)
        train(trial)
        study.tell(trial, float(trial.number))


@contextmanager
def statements(storage: RetryingStorage) -> Iterator[list[str]]:
    """Gather the statements that reach the database."""
    engine = storage.database.engine
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)


def count_statements(storage: RetryingStorage, study: Study) -> int:
    trial = begin(study)
    with statements(storage) as seen:
        train(trial)
    study.tell(trial, state=TrialState.FAIL)
    return len(seen)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_trials_reports_and_decisions_cost_the_same_statements_however_many_have_finished(
    storage: RetryingStorage, pruner: str
) -> None:
    study = open_study(storage, pruner)
    # The same place in the rungs' brackets, so that hyperband has as much to ask.
    finish(study, 8)
    early = {count_statements(storage, study) for _ in range(4)}
    finish(study, 30)
    late = {count_statements(storage, study) for _ in range(4)}
    assert max(late) <= max(early)


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_decision_reads_no_trial_that_still_runs(
    storage: RetryingStorage, pruner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading 64 running trials whole takes longer than the time between two reports."""
    study = open_study(storage, pruner)
    finish(study, 6)
    running = [begin(study) for _ in range(10)]
    train(running[0])  # has seen what there is
    read: list[int] = []
    whole = RowStorage.get_trial

    def get_trial(self: RowStorage, trial_id: int) -> optuna.trial.FrozenTrial:
        read.append(trial_id)
        return whole(self, trial_id)

    monkeypatch.setattr(RowStorage, "get_trial", get_trial)
    monkeypatch.setattr(RowStorage, "_get_trials", None)  # fails whoever calls it
    for trial in running[1:]:
        train(trial)
    assert read == []


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_finished_trial_is_read_once_by_all_later_decisions(
    storage: RetryingStorage, pruner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(storage, pruner)
    finish(study, 6)
    trial = begin(study)
    train(trial)
    study.tell(trial, 1.0)
    others = [begin(study) for _ in range(3)]
    read: list[int] = []
    whole = RowStorage.get_trial

    def get_trial(self: RowStorage, trial_id: int) -> optuna.trial.FrozenTrial:
        read.append(trial_id)
        return whole(self, trial_id)

    monkeypatch.setattr(RowStorage, "get_trial", get_trial)
    for other in others:
        train(other)
    assert len(read) == len(set(read)) <= 1
