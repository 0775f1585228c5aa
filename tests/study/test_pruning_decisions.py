"""Verdicts are those of Optuna's pruners among the search trials, without going through them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, InMemoryStorage, get_storage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from quick_disk import sync_never

from searchlab.study.pruning.judging import judge
from searchlab.study.pruning.pruners import make_pruner
from searchlab.study.storage.row_storage import RowStorage

EPOCHS = 9
PRUNERS = ["median", "successive_halving", "hyperband"]


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStorage]:
    if request.param == "memory":
        yield InMemoryStorage()
        return
    rows = RowStorage(f"sqlite:///{tmp_path}/study.db")
    sync_never(rows)
    yield get_storage(rows)
    rows.engine.dispose()


def open_study(storage: BaseStorage, name: str, pruner: str, direction: str) -> Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction=direction,
        sampler=RandomSampler(seed=0),
        pruner=make_pruner(pruner, epochs=EPOCHS),
        load_if_exists=True,
    )


def ask_optuna(study: Study, trial: Trial) -> bool:
    """What judge did at first: Optuna's pruner goes through all search trials."""
    shadow = copy.copy(study)
    shadow._storage = _OnlySearch(study._storage)  # type: ignore[assignment]
    frozen = study._storage.get_trial(trial._trial_id)
    return bool(study.pruner.prune(shadow, copy.deepcopy(frozen)))


class _OnlySearch:
    """Shows a pruner search trials alone, and hands on what it writes."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage

    def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        trials = self._storage.get_all_trials(*args, **kwargs)
        return [trial for trial in trials if trial.user_attrs["role"] == "search"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


def play(
    study: Study, verdict: Callable[[Study, Trial], bool], seed: int, *, num_trials: int
) -> list[tuple[int, int, bool]]:
    """Run trials of which five are always under way; return every verdict in order."""
    rng = random.Random(seed)
    live: list[tuple[Trial, int]] = []
    verdicts = []
    begun = 0
    while live or begun < num_trials:
        if begun < num_trials and len(live) < 5:
            trial = study.ask()
            trial.set_user_attr("role", "baseline" if rng.random() < 0.15 else "search")
            live.append((trial, 0))
            begun += 1
            continue
        trial, epoch = live.pop(rng.randrange(len(live)))
        epoch += 1
        trial.report(draw_value(rng), epoch)
        pruned = trial.user_attrs["role"] == "search" and verdict(study, trial)
        verdicts.append((trial.number, epoch, pruned))
        if pruned:
            study.tell(trial, state=TrialState.PRUNED)
        elif rng.random() < 0.02:
            study.tell(trial, state=TrialState.FAIL)
        elif epoch == EPOCHS:
            study.tell(trial, rng.random())
        else:
            live.append((trial, epoch))
    return verdicts


def draw_value(rng: random.Random) -> float:
    """Mostly any number, sometimes one that others have too, seldom none."""
    draw = rng.random()
    if draw < 0.02:
        return float("nan")
    if draw < 0.04:
        return rng.choice([float("inf"), float("-inf")])
    return rng.choice([0.25, 0.5, 0.75]) if draw < 0.4 else rng.random()


@pytest.mark.filterwarnings("ignore:All-NaN")
@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("pruner", PRUNERS)
def test_verdicts_and_notes_are_those_of_optunas_pruner_among_search_trials(
    storage: BaseStorage, pruner: str, direction: str
) -> None:
    for seed in range(6 if isinstance(storage, InMemoryStorage) else 1):
        # One name, for hyperband's brackets go by it: each in a storage of its own.
        other = InMemoryStorage()
        ours = open_study(storage, f"study-{seed}", pruner, direction)
        optunas = open_study(other, f"study-{seed}", pruner, direction)
        verdicts = play(ours, judge, seed, num_trials=40)
        assert verdicts == play(optunas, ask_optuna, seed, num_trials=40)
        assert {pruned for _, _, pruned in verdicts} == {True, False}
        for mine, its in zip(ours.trials, optunas.trials, strict=True):
            notes = {
                key: value
                for key, value in mine.system_attrs.items()
                if key != "searchlab:pruned_at"
            }
            assert notes == its.system_attrs


@pytest.mark.parametrize("pruner", PRUNERS)
def test_verdicts_see_what_another_driver_recorded(tmp_path: Path, pruner: str) -> None:
    """Two drivers of one database take turns; one that sees all at once says the same."""

    def take_turns(studies: list[Study], verdict: Callable[[Study, Trial], bool]) -> list[bool]:
        rng = random.Random(5)
        verdicts = []
        for _ in range(12):
            trials = [study.ask() for study in studies]
            for trial in trials:
                trial.set_user_attr("role", "search")
            pruned = [False] * len(studies)
            for epoch in range(1, EPOCHS + 1):
                for place, (study, trial) in enumerate(zip(studies, trials, strict=True)):
                    if not pruned[place]:
                        trial.report(rng.random(), epoch)
                        pruned[place] = verdict(study, trial)
                        verdicts.append(pruned[place])
            for place, (study, trial) in enumerate(zip(studies, trials, strict=True)):
                state = TrialState.PRUNED if pruned[place] else TrialState.COMPLETE
                study.tell(trial, None if pruned[place] else 0.5, state=state)
        return verdicts

    opened = [RowStorage(f"sqlite:///{tmp_path}/study.db") for _ in range(2)]
    for rows in opened:
        sync_never(rows)
    studies = [open_study(get_storage(rows), "shared", pruner, "maximize") for rows in opened]
    verdicts = take_turns(studies, judge)
    alone = open_study(InMemoryStorage(), "shared", pruner, "maximize")
    assert verdicts == take_turns([alone, alone], ask_optuna)
    assert True in verdicts
    for rows in opened:
        rows.engine.dispose()
