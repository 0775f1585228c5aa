"""What a report and a verdict ask of the database does not grow with the study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.samplers import RandomSampler
from optuna.storages import get_storage
from optuna.study import Study
from optuna.trial import Trial, TrialState
from quick_disk import sync_never

from searchlab.study.pruning.judging import judge
from searchlab.study.pruning.pruners import make_pruner
from searchlab.study.storage.row_storage import RowStorage

EPOCHS = 20
PRUNERS = ["median", "successive_halving", "hyperband"]


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[RowStorage]:
    storage = RowStorage(f"sqlite:///{tmp_path}/study.db")
    sync_never(storage)
    yield storage
    storage.engine.dispose()


def open_study(rows: RowStorage, pruner: str) -> Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=get_storage(rows),
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


def train(study: Study, trial: Trial) -> None:
    """Train a trial that is never stopped, being the best so far."""
    for epoch in range(1, EPOCHS + 1):
        trial.report(trial.number + epoch / 100, epoch)
        assert not judge(study, trial)


def finish(study: Study, count: int) -> None:
    for _ in range(count):
        trial = begin(study)
        train(study, trial)
        study.tell(trial, float(trial.number))


@contextmanager
def statements(rows: RowStorage) -> Iterator[list[str]]:
    """Gather the statements that reach the database."""
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    sqlalchemy.event.listen(rows.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sqlalchemy.event.remove(rows.engine, "before_cursor_execute", note)


def count_statements(rows: RowStorage, study: Study, act: Callable[[Study, Trial], None]) -> int:
    trial = begin(study)
    with statements(rows) as seen:
        act(study, trial)
    study.tell(trial, state=TrialState.FAIL)
    return len(seen)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_trials_reports_and_verdicts_cost_the_same_statements_however_many_have_finished(
    rows: RowStorage, pruner: str
) -> None:
    study = open_study(rows, pruner)
    # The same place in the rungs' brackets, so that hyperband has as much to ask.
    finish(study, 8)
    early = {count_statements(rows, study, train) for _ in range(4)}
    finish(study, 30)
    late = {count_statements(rows, study, train) for _ in range(4)}
    assert max(late) <= max(early)


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_verdict_reads_no_trial_that_still_runs(
    rows: RowStorage, pruner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading 64 running trials whole takes longer than the time between two reports."""
    study = open_study(rows, pruner)
    finish(study, 6)
    running = [begin(study) for _ in range(10)]
    train(study, running[0])  # has seen what there is
    read: list[int] = []
    whole = RowStorage.get_trial

    def get_trial(self: RowStorage, trial_id: int) -> optuna.trial.FrozenTrial:
        read.append(trial_id)
        return whole(self, trial_id)

    monkeypatch.setattr(RowStorage, "get_trial", get_trial)
    monkeypatch.setattr(RowStorage, "_get_trials", None)  # fails whoever calls it
    for trial in running[1:]:
        train(study, trial)
    assert read == []


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_finished_trial_is_read_once_by_all_later_verdicts(
    rows: RowStorage, pruner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(rows, pruner)
    finish(study, 6)
    trial = begin(study)
    train(study, trial)
    study.tell(trial, 1.0)
    others = [begin(study) for _ in range(3)]
    read: list[int] = []
    whole = RowStorage.get_trial

    def get_trial(self: RowStorage, trial_id: int) -> optuna.trial.FrozenTrial:
        read.append(trial_id)
        return whole(self, trial_id)

    monkeypatch.setattr(RowStorage, "get_trial", get_trial)
    for other in others:
        train(study, other)
    assert len(read) == len(set(read)) <= 1
