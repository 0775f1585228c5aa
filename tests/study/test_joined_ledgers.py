"""Several drivers of one study: the budget is exact, and nobody settles another's trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ledger_driving import NO_CHECKPOINTS, make_plan, make_result, make_spec, open_study, train
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from searchlab.config.study import StudySpec
from searchlab.config.trial import TrialConfig
from searchlab.records.storage.fencing import StaleTokenError
from searchlab.study.callbacks import StudyCallback
from searchlab.study.ledger import Ledger


class _Joined:
    """A shared lock of drivers in one process; ``alive`` is what they all know."""

    shared = True

    def __init__(self, driver: str, alive: set[str]) -> None:
        self.driver = driver
        self._alive = alive
        alive.add(driver)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        yield

    def is_alive(self, driver: str) -> bool:
        return driver in self._alive

    def check(self) -> None: ...


class Drivers:
    """Ledgers that share one storage, each with a study object of its own."""

    def __init__(self, spec: StudySpec) -> None:
        self.spec = spec
        self.storage = InMemoryStorage()
        self.alive: set[str] = set()
        self.study = open_study(spec, self.storage)

    def join(
        self,
        driver: str,
        *,
        checkpoints: Path = NO_CHECKPOINTS,
        callback: StudyCallback | None = None,
    ) -> Ledger:
        return Ledger(
            plan=make_plan(self.spec),
            study=open_study(self.spec, self.storage),
            checkpoints=checkpoints,
            callback=callback,
            lock=_Joined(driver, self.alive),
        )

    @property
    def roles(self) -> Counter[Any]:
        return Counter(trial.user_attrs.get("role") for trial in self.study.trials)

    @property
    def states(self) -> set[TrialState]:
        return {trial.state for trial in self.study.trials}


def finish(*ledgers: Ledger) -> None:
    """Let the drivers take turns until none has anything left."""
    waiting: set[int] = set()
    turn = 0
    while len(waiting) < len(ledgers):
        ledger = ledgers[turn % len(ledgers)]
        config = ledger.ask()
        if config is None:
            waiting.add(turn % len(ledgers))
        else:
            waiting.clear()
            train(ledger, config)
        turn += 1


@pytest.mark.parametrize("sampler", ["tpe", "grid", "one_at_a_time"])
def test_two_drivers_share_the_budget_to_the_trial(sampler: str) -> None:
    drivers = Drivers(make_spec(search={"sampler": sampler, "trials": 7, "points": 2}))
    a, b = drivers.join("a"), drivers.join("b")
    finish(a, b)
    assert drivers.roles == {"baseline": 2, "search": 7, "finalist": 2}
    assert drivers.states == {TrialState.COMPLETE}
    assert a.is_finished
    assert b.is_finished
    owners = {
        trial.system_attrs["searchlab:origin"].partition("/")[0] for trial in drivers.study.trials
    }
    assert owners == {"a", "b"}


def test_the_number_of_finalists_is_known_from_the_moment_they_are_chosen() -> None:
    one_point = {"parameters": {"lr": 0.1, "family": {"fcn": {"depth": [1], "width": 8}}}}
    drivers = Drivers(make_spec(space=one_point, search={"sampler": "random", "trials": 3}))
    a = drivers.join("a")
    assert a.snapshot().counts["finalist"].total == 2, "at most"
    while (config := a.ask()) is not None and config.role != "finalist":
        train(a, config)
    assert config is not None
    assert a.snapshot().counts["finalist"].total == 1
    a.note_worker_lost(config.number, "its worker died")
    assert a.ask() == config
    assert a.snapshot().counts["finalist"].total == 1


def test_what_one_driver_has_live_the_other_neither_takes_nor_counts_as_free() -> None:
    drivers = Drivers(make_spec(search={"trials": 6}))
    a, b = drivers.join("a"), drivers.join("b")
    held = [a.ask() for _ in range(5)]  # two baselines, three search trials
    taken = []
    while (config := b.ask()) is not None:
        taken.append(config)
        train(b, config)
    assert [config.role for config in taken] == ["search"] * 3
    assert b.is_waiting, "finalists wait for the other's trials"
    assert not b.is_finished
    for config in held:
        assert config is not None
        train(a, config)
    finish(a, b)
    assert drivers.roles == {"baseline": 2, "search": 6, "finalist": 2}
    assert drivers.states == {TrialState.COMPLETE}


def test_a_dead_drivers_trials_are_taken_over_and_a_living_ones_are_not() -> None:
    drivers = Drivers(make_spec(search={"trials": 6}))
    a, b, c = drivers.join("a"), drivers.join("b"), drivers.join("c")
    dead = [a.ask(), a.ask(), a.ask()]
    alive = b.ask()
    assert alive is not None
    drivers.alive.remove("a")
    taken: list[TrialConfig] = []
    for _ in range(3):
        config = c.ask()
        assert config is not None
        taken.append(config)
    assert [config.number for config in taken] == [
        config.number for config in dead if config is not None
    ]
    for config in taken:
        train(c, config)
    train(b, alive)
    finish(b, c)
    assert drivers.roles == {"baseline": 2, "search": 6, "finalist": 2}


class Announced(StudyCallback):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def announce(self, message: str) -> None:
        self.messages.append(message)


@pytest.mark.parametrize(
    ("num_epochs", "has_checkpoint", "words"),
    [
        (1, False, ["the driver a is gone; it starts anew, because its checkpoints are in that"]),
        (1, True, ["the driver a is gone; it goes on from its last checkpoint"]),
        (0, False, []),
    ],
)
def test_a_trial_that_is_taken_over_says_where_it_goes_on(
    tmp_path: Path, num_epochs: int, has_checkpoint: bool, words: list[str]
) -> None:
    search = {"trials": 2, "start": "random"}
    drivers = Drivers(make_spec(search=search, baselines={"architectures": []}))
    a, told = drivers.join("a"), Announced()
    b = drivers.join("b", checkpoints=tmp_path, callback=told)
    config = a.ask()
    assert config is not None
    if num_epochs:
        a.report(make_result(config, num_epochs))
    if has_checkpoint:
        (tmp_path / "trial-00000.json").write_text("{}")
    drivers.alive.remove("a")
    b.ask()
    assert len(told.messages) == len(words)
    for message, word in zip(told.messages, words, strict=True):
        assert word in message


def test_a_driver_taken_for_dead_does_not_end_a_trial_that_is_anothers_now() -> None:
    drivers = Drivers(make_spec(search={"trials": 2}, baselines={"architectures": []}))
    a, b = drivers.join("a"), drivers.join("b")
    config = a.ask()
    assert config is not None
    drivers.alive.remove("a")
    again = b.ask()
    assert again is not None
    assert again.number == config.number
    drivers.alive.add("a")
    train(a, config)  # it does not know
    assert drivers.study.trials[config.number].state == TrialState.RUNNING
    train(b, again)
    finish(a, b)
    assert drivers.roles == {"search": 2, "finalist": 2}
    assert len(drivers.study.trials[config.number].intermediate_values) == config.settings.epochs


def test_a_lost_trial_of_one_driver_is_run_again_once_by_any() -> None:
    from searchlab.study.outcome import fail

    drivers = Drivers(make_spec(search={"trials": 3}, baselines={"architectures": []}))
    a, b = drivers.join("a"), drivers.join("b")
    config = a.ask()
    assert config is not None
    a.report(make_result(config, 1))
    a.tell(config.number, fail("its host was lost", "lost"))
    finish(b, a)
    retries = [trial.user_attrs.get("retry_of") for trial in drivers.study.trials]
    assert retries.count(config.number) == 1
    assert drivers.roles == {"search": 4, "finalist": 2}


class _Stolen(_Joined):
    """A lock whose fencing token turns stale during so many decisions."""

    def __init__(self, driver: str, alive: set[str], times: int) -> None:
        super().__init__(driver, alive)
        self.times = times

    @contextmanager
    def deciding(self) -> Iterator[None]:
        if self.times:
            self.times -= 1
            raise StaleTokenError("another driver has decided")
        yield


@pytest.mark.parametrize(("times", "is_given_up"), [(9, False), (10, True)])
def test_a_decision_whose_token_turned_stale_is_made_again(times: int, is_given_up: bool) -> None:
    drivers = Drivers(make_spec())
    ledger = Ledger(
        plan=make_plan(drivers.spec),
        study=drivers.study,
        checkpoints=NO_CHECKPOINTS,
        lock=_Stolen("a", drivers.alive, times),
    )
    if is_given_up:
        with pytest.raises(StaleTokenError):
            ledger.ask()
    else:
        config = ledger.ask()
        assert config is not None
        assert config.number == 0
