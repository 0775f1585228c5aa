"""The budget of joined drivers is exact even if a driver loses its lock while it decides."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import pytest
import sqlalchemy
from ledger_driving import NO_CHECKPOINTS, make_plan, make_spec, open_study, train
from optuna.trial import TrialState

from searchlab.config.study import StudySpec
from searchlab.config.trial import TrialConfig
from searchlab.errors import InfrastructureError
from searchlab.records.locks.advisory_lock import AdvisoryLock
from searchlab.records.locks.drivers import LockTimes
from searchlab.records.storage.fencing import TOKEN, StaleTokenError
from searchlab.records.storage.idempotent_storage import IdempotentStorage
from searchlab.records.storage.opening import open_storage
from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.records.trial_record import CREATED_BY
from searchlab.study.ledger import Ledger

pytestmark = pytest.mark.postgres

_QUICK = LockTimes(acquire=1.0, ping=0.05, settle=0.05, grace=3600.0, decide=60.0)
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :a"


class Driver:
    """One of several joined drivers: a ledger on a storage and a lock of its own."""

    def __init__(self, spec: StudySpec, url: str, lock: AdvisoryLock, storage: RetryingStorage):
        self.name = lock.driver
        self.lock = lock
        self._url = url
        self.study = open_study(spec, storage)
        self.ledger = Ledger(
            plan=make_plan(spec),
            study=self.study,
            checkpoints=NO_CHECKPOINTS,
            lock=lock,
        )

    def end_lock_session(self) -> None:
        """See ``end_lock_session``."""
        end_lock_session(self._url, self.name)

    def ask(self) -> TrialConfig | None:
        """Ask until a decision is not lost to another driver."""
        while True:
            try:
                return self.ledger.ask()
            except StaleTokenError:
                continue

    def run(self) -> None:
        """Train until nothing is left here or with the others."""
        while True:
            config = self.ask()
            if config is not None:
                train(self.ledger, config)
            elif self.ledger.is_finished:
                return
            else:
                time.sleep(0.02)


def end_lock_session(url: str, driver: str) -> None:
    """End the session of a driver's lock on the server's side; the storage's goes on."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(_END_SESSIONS), {"a": f"searchlab {driver}"})
    engine.dispose()


@contextmanager
def joined(spec: StudySpec, url: str, name: str) -> Iterator[Driver]:
    storage = open_storage(url, driver=name)
    open_study(spec, storage)
    with AdvisoryLock(
        url, spec.name, driver=name, shared=True, times=_QUICK, database=storage.database
    ) as lock:
        yield Driver(spec, url, lock, storage)
    storage.close()


def count_roles(driver: Driver) -> Counter[str]:
    """Count the trials by role; all must have ended."""
    trials = driver.study.get_trials(deepcopy=False)
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    return Counter(trial.user_attrs["role"] for trial in trials)


def lose_the_lock(
    monkeypatch: pytest.MonkeyPatch, loser: Driver, winner: Driver, write: str, *, num_asked: int
) -> list[TrialConfig]:
    """Have a driver's lock go to another just before its next write of a kind; return what that
    one asks for then."""
    storage = loser.study._storage
    assert isinstance(storage, RetryingStorage)
    original = getattr(storage.database, write)
    taken: list[TrialConfig] = []

    def write_late(*values: Any, **named: Any) -> Any:
        if write == "set_trial_system_attr" and CREATED_BY not in (*values, *named.values()):
            return original(*values, **named)
        monkeypatch.setattr(storage.database, write, original)
        before = loser.lock._session
        with loser.lock._tending:  # else it may have its lock back first
            loser.end_lock_session()
            taken.extend(config for _ in range(num_asked) if (config := winner.ask()))
        wait_until(lambda: loser.lock._session not in (None, before))
        return original(*values, **named)

    monkeypatch.setattr(storage.database, write, write_late)
    return taken


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.mark.parametrize("write", ["create_trial", "claim"])
@pytest.mark.parametrize("num_done", [0, 1, 5])
def test_a_lock_that_is_lost_before_a_write_costs_no_budget(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, write: str, num_done: int
) -> None:
    spec = make_spec(search={"sampler": "random", "trials": 4})
    with joined(spec, postgres_url, "a") as a, joined(spec, postgres_url, "b") as b:
        for _ in range(num_done):
            train(a.ledger, a.ask())  # type: ignore[arg-type]
        taken = lose_the_lock(monkeypatch, a, b, write, num_asked=8)
        if write == "claim" and num_done >= 2:
            a.study.enqueue_trial({})  # as a user may; the baselines are claimed, the search is not
        config = a.ask()
        for config_b in taken:
            train(b.ledger, config_b)
        assert taken, "the other driver decided first"
        if config is not None:
            train(a.ledger, config)
        for driver in (b, a):
            driver.run()
        assert count_roles(a) == {"baseline": 2, "search": 4, "finalist": 2}


def test_one_dead_drivers_trial_goes_to_one_driver(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(search={"sampler": "random", "trials": 1}, baselines={"architectures": []})
    open_study(spec, open_storage(postgres_url, driver="dead")).ask()
    with joined(spec, postgres_url, "a") as a, joined(spec, postgres_url, "b") as b:
        for driver in (a, b):
            monkeypatch.setattr(driver.lock, "is_alive", lambda name: name in ("a", "b"))
        taken = lose_the_lock(monkeypatch, a, b, "set_trial_system_attr", num_asked=1)
        assert a.ask() is None
        assert [config.number for config in taken] == [0]
        origin = a.study.get_trials(deepcopy=False)[0].system_attrs[CREATED_BY]
        assert origin.startswith("b/")


def make_storage(url: str, driver: str) -> tuple[RetryingStorage, int]:
    storage = open_storage(url, driver=driver)
    study = optuna.create_study(study_name="letters", storage=storage, load_if_exists=True)
    return storage, study._study_id


def test_the_latest_token_alone_may_write_and_outlives_the_session_of_its_lock(
    postgres_url: str,
) -> None:
    storage_a, study_id = make_storage(postgres_url, "a")
    storage_b, _ = make_storage(postgres_url, "b")
    waiting = optuna.trial.create_trial(state=TrialState.WAITING)

    def hold(driver: str, database: IdempotentStorage) -> Any:
        return AdvisoryLock(
            postgres_url, "letters", driver=driver, shared=True, times=_QUICK, database=database
        )

    with hold("a", storage_a.database) as one, hold("b", storage_b.database) as two:
        with one.deciding():
            assert storage_a.database.fence is not None
            assert storage_a.database.fence.token == "a/1"
            assert storage_a.get_study_system_attrs(study_id)[TOKEN] == "a/1"
            before = one._session
            end_lock_session(postgres_url, "a")
            wait_until(lambda: one._session not in (None, before))
            first = storage_a.create_new_trial(study_id, waiting)  # nobody decided meanwhile
        assert storage_a.database.fence is None
        with one.deciding():
            end_lock_session(postgres_url, "a")
            with two.deciding():
                second = storage_b.create_new_trial(study_id, waiting)
            for write in (
                lambda: storage_a.create_new_trial(study_id),
                lambda: storage_a.set_trial_state_values(first, TrialState.RUNNING),
                lambda: storage_a.set_trial_system_attr(first, CREATED_BY, "a/adopted-0"),
            ):
                with pytest.raises(StaleTokenError, match="another driver has decided meanwhile"):
                    write()
            storage_a.set_trial_system_attr(first, "other", 1)
        with two.deciding():
            assert storage_b.set_trial_state_values(first, TrialState.RUNNING)
    assert [trial._trial_id for trial in storage_a.get_all_trials(study_id)] == [first, second]
    assert storage_a.get_trial(first).system_attrs[CREATED_BY] == "a/0"


def test_a_decision_waits_for_the_trial_that_an_earlier_one_is_making(postgres_url: str) -> None:
    storage, study_id = make_storage(postgres_url, "a")
    database: Any = storage.database
    num_seen: list[int] = []

    def decide() -> None:
        with two.deciding():
            num_seen.append(len(other.get_all_trials(study_id)))

    other, _ = make_storage(postgres_url, "b")
    original = database.add_trial_rows
    with AdvisoryLock(
        postgres_url, "letters", driver="b", shared=True, times=_QUICK, database=other.database
    ) as two:
        decider = threading.Thread(target=decide)

        def make_slowly(*values: Any) -> Any:
            trial = original(*values)
            decider.start()  # in the middle of the transaction
            decider.join(0.5)
            return trial

        database.add_trial_rows = make_slowly
        storage.create_new_trial(study_id)
        decider.join(60)
    assert num_seen == [1]


def test_a_database_that_cannot_be_written_ends_the_wait_to_decide(
    postgres_url: str, postgres: Any
) -> None:
    storage, _ = make_storage(postgres_url, "a")
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    with AdvisoryLock(
        postgres_url, "letters", driver="a", shared=True, times=_QUICK, database=storage.database
    ) as lock:
        postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        before = lock._session
        end_lock_session(postgres_url, "a")
        wait_until(lambda: lock._session not in (None, before))
        with pytest.raises(InfrastructureError, match=r"no decision can be recorded: .*read-only"):
            lock.deciding().__enter__()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_budget_is_exact_through_a_storm_of_lost_locks(postgres_url: str, seed: int) -> None:
    spec = make_spec(search={"sampler": "random", "trials": 40})
    rng = random.Random(seed)
    num_lost = 0
    with joined(spec, postgres_url, "a") as a, joined(spec, postgres_url, "b") as b:
        threads = [threading.Thread(target=driver.run) for driver in (a, b)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(rng.uniform(0.0, 0.2))
            rng.choice((a, b)).end_lock_session()
            num_lost += 1
        assert a.ledger.is_finished
        assert b.ledger.is_finished
        assert count_roles(a) == {"baseline": 2, "search": 40, "finalist": 2}
    assert num_lost > 5
