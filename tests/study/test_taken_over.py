"""A driver that was taken for dead and comes back: it spoils nothing of the one that went on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from ledger_driving import (
    NO_CHECKPOINTS,
    describe_trials,
    make_plan,
    make_result,
    make_spec,
    open_study,
)
from optuna.storages import InMemoryStorage
from optuna.study import Study

from searchlab.config.study import StudySpec
from searchlab.config.trial import TrialConfig
from searchlab.errors import InfrastructureError
from searchlab.records import trial_record as attr
from searchlab.study.ledger import Ledger
from searchlab.study.outcome import fail

SPEC = make_spec(search={"trials": 2}, baselines={"architectures": []}, confirm={"top": 0})


@dataclass(slots=True)
class Lock:
    """A driver's lock; ``lost`` is what its keeper notices, ``dead`` whom this driver takes so."""

    driver: str
    shared: bool
    lost: bool = False
    dead: set[str] = field(default_factory=set)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        yield

    def is_alive(self, driver: str) -> bool:
        return driver not in self.dead

    def check(self) -> None:
        if self.lost:
            raise InfrastructureError("was taken over")


def drive(study: Study, lock: Lock, spec: StudySpec = SPEC) -> Ledger:
    return Ledger(
        plan=make_plan(spec),
        study=open_study(spec, study._storage),
        checkpoints=NO_CHECKPOINTS,
        lock=lock,
    )


def ask(ledger: Ledger) -> TrialConfig:
    config = ledger.ask()
    assert config is not None
    return config


class Takeover:
    """Driver a has a trial, is away, and driver b takes the trial up."""

    def __init__(self, *, shared: bool) -> None:
        self.study = open_study(SPEC, InMemoryStorage())
        self.lock = Lock("a", shared)
        self.old = drive(self.study, self.lock)
        self.config = ask(self.old)
        self.old.report(make_result(self.config, 1))
        self.new = drive(self.study, Lock("b", shared, dead={"a"}))
        assert ask(self.new).number == self.config.number

    def end_there(self) -> None:
        for epoch in range(1, 4):
            self.new.report(make_result(self.config, epoch, replayed=epoch == 1))
        self.new.tell(self.config.number)

    @property
    def trial(self) -> Any:
        return self.study.trials[self.config.number]


def test_a_driver_that_lost_its_study_writes_nothing_more() -> None:
    takeover = Takeover(shared=False)
    takeover.lock.lost = True
    number = takeover.config.number
    for act in (
        lambda: takeover.old.report(make_result(takeover.config, 2)),
        lambda: takeover.old.note_worker_lost(number, "its worker died"),
        lambda: takeover.old.tell(number),
    ):
        with pytest.raises(InfrastructureError, match="was taken over"):
            act()
    assert set(takeover.trial.intermediate_values) == {1}
    takeover.end_there()
    assert takeover.trial.state.name == "COMPLETE"


@pytest.mark.parametrize("shared", [True, False])
def test_a_loss_not_yet_noticed_ends_no_trial_of_the_other(shared: bool) -> None:
    takeover = Takeover(shared=shared)
    takeover.old.tell(takeover.config.number, fail("the worker died", "lost"))
    assert takeover.trial.state.name == "RUNNING"
    takeover.end_there()
    assert takeover.trial.state.name == "COMPLETE"
    assert len(takeover.study.trials) == 1, "no retry is owed"


@pytest.mark.parametrize("shared", [True, False])
def test_results_and_deaths_of_a_trial_that_ended_elsewhere_change_nothing(shared: bool) -> None:
    for act in (
        lambda ledger, config: ledger.report(make_result(config, 2)),
        lambda ledger, config: ledger.note_worker_lost(config.number, "its worker died"),
        lambda ledger, config: ledger.tell(config.number),
    ):
        takeover = Takeover(shared=shared)
        takeover.end_there()
        before = describe_trials(takeover.study)
        act(takeover.old, takeover.config)
        assert describe_trials(takeover.study) == before
        assert not takeover.old._live


def test_a_report_of_a_trial_that_ended_elsewhere_stops_the_worker() -> None:
    takeover = Takeover(shared=True)
    takeover.end_there()
    assert takeover.old.report(make_result(takeover.config, 2))


def test_a_worker_s_death_is_not_counted_against_the_new_owner() -> None:
    takeover = Takeover(shared=True)
    before = dict(takeover.trial.system_attrs[attr.INTERRUPTIONS])
    takeover.old.note_worker_lost(takeover.config.number, "its worker died")
    assert takeover.trial.system_attrs[attr.INTERRUPTIONS] == before
    assert ask(takeover.old).number == 1, "the new driver's trial is not taken back"
