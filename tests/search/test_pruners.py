"""The pruners decide as Optuna's do among the search trials, without going through them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import optuna
import pytest
from ledger_driving import make_result, make_spec, open_ledger, run_to_end
from ledger_driving import open_study as open_driven_study
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from quick_disk import open_quickly

from searchlab.config.seeds import derive_seed
from searchlab.config.study import SearchSpec
from searchlab.config.trial import TrialConfig
from searchlab.search.pruning.registry import PRUNERS, make_pruner
from searchlab.study.ledger import Ledger

EPOCHS = 9
OPTUNAS: dict[str, BasePruner] = {
    "median": MedianPruner(n_startup_trials=5, n_warmup_steps=2),
    "halving": SuccessiveHalvingPruner(min_resource=2, reduction_factor=2),
    "successive_halving": SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    "hyperband": HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3),
}


@pytest.fixture
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStorage]:
    if request.param == "memory":
        yield InMemoryStorage()
        return
    with open_quickly(tmp_path / "study.db") as opened:
        yield opened


class _SearchTrials(InMemoryStorage):
    """Shows search trials alone, for Optuna's pruners, which make every trial a peer."""

    def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        trials = super().get_all_trials(*args, **kwargs)
        return [trial for trial in trials if trial.user_attrs.get("role") != "baseline"]


def open_study(
    storage: BaseStorage, pruner: BasePruner, *, name: str = "study", direction: str = "maximize"
) -> Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage,
        study_name=name,  # hyperband's brackets follow from it
        direction=direction,
        sampler=RandomSampler(seed=0),
        pruner=pruner,
        load_if_exists=True,
    )


def play(study: Study, seed: int, *, num_trials: int) -> list[tuple[int, int, bool]]:
    """Run trials of which five are always under way; return every decision in order."""
    rng = random.Random(seed)
    live: list[tuple[Trial, int]] = []
    decisions = []
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
        pruned = trial.user_attrs["role"] == "search" and trial.should_prune()
        decisions.append((trial.number, epoch, pruned))
        if pruned:
            study.tell(trial, state=TrialState.PRUNED)
        elif rng.random() < 0.02:
            study.tell(trial, state=TrialState.FAIL)
        elif epoch == EPOCHS:
            study.tell(trial, rng.random())
        else:
            live.append((trial, epoch))
    return decisions


def draw_value(rng: random.Random) -> float:
    """Mostly any number, sometimes one that others have too, seldom none."""
    draw = rng.random()
    if draw < 0.02:
        return float("nan")
    if draw < 0.04:
        return rng.choice([float("inf"), float("-inf")])
    return rng.choice([0.25, 0.5, 0.75]) if draw < 0.4 else rng.random()


def rungs_of(trial: FrozenTrial) -> dict[str, Any]:
    return {
        key: value for key, value in trial.system_attrs.items() if key.startswith("completed_rung_")
    }


@pytest.mark.filterwarnings("ignore:All-NaN")
@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize(
    ("storage", "direction"),
    [("memory", "maximize"), ("memory", "minimize"), ("sqlite", "maximize")],
    indirect=["storage"],
)
@pytest.mark.parametrize("pruner", OPTUNAS)
def test_decisions_and_rungs_are_those_of_optunas_pruner_among_search_trials(
    storage: BaseStorage, pruner: str, direction: str
) -> None:
    # What a database adds is how trials are read, not what is decided of them.
    seeds, num_trials = (range(3), 40) if isinstance(storage, InMemoryStorage) else (range(1), 25)
    for seed in seeds:
        settings: dict[str, Any] = {"name": f"study-{seed}", "direction": direction}
        ours = open_study(storage, make_pruner(pruner, epochs=EPOCHS), **settings)
        optunas = open_study(_SearchTrials(), OPTUNAS[pruner], **settings)
        decisions = play(ours, seed, num_trials=num_trials)
        assert decisions == play(optunas, seed, num_trials=num_trials)
        assert {pruned for _, _, pruned in decisions} == {True, False}
        search = [trial for trial in ours.trials if trial.user_attrs["role"] == "search"]
        for mine, its in zip(search, optunas.trials, strict=True):
            assert rungs_of(mine) == rungs_of(its)


@pytest.mark.parametrize("pruner", OPTUNAS)
def test_decisions_see_what_another_driver_recorded(tmp_path: Path, pruner: str) -> None:
    """Two drivers of one database take turns; one that sees all at once decides the same."""

    def take_turns(studies: list[Study]) -> list[bool]:
        rng = random.Random(5)
        decisions = []
        for _ in range(8):
            trials = [study.ask() for study in studies]
            pruned = [False] * len(studies)
            for epoch in range(1, EPOCHS + 1):
                for place, trial in enumerate(trials):
                    if not pruned[place]:
                        trial.report(rng.random(), epoch)
                        pruned[place] = trial.should_prune()
                        decisions.append(pruned[place])
            for place, (study, trial) in enumerate(zip(studies, trials, strict=True)):
                state = TrialState.PRUNED if pruned[place] else TrialState.COMPLETE
                study.tell(trial, None if pruned[place] else 0.5, state=state)
        return decisions

    path = tmp_path / "study.db"
    with open_quickly(path) as first, open_quickly(path) as second:
        studies = [
            open_study(opened, make_pruner(pruner, epochs=EPOCHS)) for opened in (first, second)
        ]
        decisions = take_turns(studies)
    alone = open_study(InMemoryStorage(), OPTUNAS[pruner])
    assert decisions == take_turns([alone, alone])
    assert True in decisions


@pytest.mark.parametrize("pruner", OPTUNAS)
def test_a_later_driver_decides_the_last_epoch_of_a_killed_one_alike(pruner: str) -> None:
    """What the killed driver recorded of the trial itself is not held against it, nor for it."""
    storage = InMemoryStorage()
    study = open_study(storage, make_pruner(pruner, epochs=EPOCHS))
    play(study, 7, num_trials=20)
    rng = random.Random(11)
    for _ in range(10):
        trial = study.ask()
        for epoch in range(1, EPOCHS + 1):
            trial.report(rng.random(), epoch)
            pruned = trial.should_prune()
            later = open_study(storage, make_pruner(pruner, epochs=EPOCHS))
            again = [found for found in later.trials if found.number == trial.number]
            assert later.pruner.prune(later, again[0]) == pruned
            if pruned:
                break
        study.tell(trial, state=TrialState.PRUNED)


def test_every_pruner_of_the_configuration_is_registered() -> None:
    assert set(get_args(SearchSpec.model_fields["pruner"].annotation)) == set(PRUNERS)


class _FirstEpoch(BasePruner):
    """Stops every trial."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        return True


def test_a_new_pruner_is_a_class_and_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its name in the configuration, which is not checked here."""
    monkeypatch.setitem(PRUNERS, "first_epoch", lambda epochs: _FirstEpoch())
    spec = make_spec()
    search = spec.search.model_copy(update={"pruner": "first_epoch"})
    spec = spec.model_copy(update={"search": search})
    study = open_driven_study(spec)
    run_to_end(open_ledger(spec, study))
    states = [(trial.user_attrs["role"], trial.state.name) for trial in study.trials]
    assert states == [("baseline", "COMPLETE")] * 2 + [("search", "PRUNED")] * 6


@pytest.mark.parametrize("pruner", OPTUNAS)
def test_search_trials_are_pruned_among_themselves_not_by_strong_baselines(pruner: str) -> None:
    """Baselines are near 1, search trials anywhere below 0.5."""

    def train(ledger: Ledger, config: TrialConfig) -> None:
        for epoch in range(1, config.settings.epochs + 1):
            value = 0.99
            if config.role == "search":
                value = derive_seed("value", config.number, epoch) / 2**64
            if ledger.report(make_result(config, epoch, value)):
                break
        ledger.tell(config.number)

    spec = make_spec(
        search={"sampler": "random", "pruner": pruner, "trials": 14},
        training={"epochs": 9},
        baselines={"architectures": ["a1", "a2"], "schemes": ["HF", "HT", "DT"]},
    )
    study = open_driven_study(spec)
    run_to_end(open_ledger(spec, study), train)
    states = {
        role: [trial.state for trial in study.trials if trial.user_attrs["role"] == role]
        for role in ("baseline", "search", "finalist")
    }
    assert states["baseline"] == [TrialState.COMPLETE] * 6
    assert states["search"].count(TrialState.COMPLETE) >= 2
    assert TrialState.PRUNED in states["search"]
    assert states["finalist"] == [TrialState.COMPLETE] * 2
