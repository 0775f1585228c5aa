"""The time left is forecast by role, folds, images and models, and within a factor of two."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import pytest
from ledger_driving import make_result, make_spec, open_ledger, open_study

from searchlab.config.trial import TrialConfig
from searchlab.study import forecast
from searchlab.study.callbacks import Forecast, ProgressSnapshot
from searchlab.study.ledger import Ledger


class _Machine:
    """Runs a study's trials side by side on a clock of its own."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        num_workers: int = 1,
        overhead: float = 0.0,
        size_of: Callable[[TrialConfig], float] = lambda config: 1.0,
    ) -> None:
        self.now = 1000.0
        monkeypatch.setattr(forecast.time, "monotonic", lambda: self.now)
        self._num_workers = num_workers
        self._overhead = overhead
        self._size_of = size_of
        self.seen: list[tuple[float, ProgressSnapshot]] = []

    def run(self, ledger: Ledger) -> None:
        """Run all trials; ``seen`` then has the time and a snapshot after each trial's end."""
        events: list[tuple[float, int, TrialConfig, int]] = []
        while True:
            while len(events) < self._num_workers and (config := ledger.ask()) is not None:
                start = self.now + self._overhead + self._seconds(config)
                heapq.heappush(events, (start, config.number, config, 1))
            if not events:
                return
            self.now, number, config, epoch = heapq.heappop(events)
            ledger.report(make_result(config, epoch, seconds=self._seconds(config)))
            if epoch < config.settings.epochs:
                again = self.now + self._seconds(config)
                heapq.heappush(events, (again, number, config, epoch + 1))
                continue
            ledger.tell(number)
            self.seen.append((self.now, ledger.snapshot()))

    def _seconds(self, config: TrialConfig) -> float:
        models = len(config.folds_to_train) * 2 / 3 + config.folds.test  # three folds
        return self._size_of(config) * models

    def forecasts(self) -> list[tuple[Forecast | None, float]]:
        """Return each forecast beside the time that was left."""
        return [(snapshot.remaining, self.now - at) for at, snapshot in self.seen]


def _run(monkeypatch: pytest.MonkeyPatch, spec: Any, **machine: Any) -> _Machine:
    ours = _Machine(monkeypatch, **machine)
    ours.run(open_ledger(spec, open_study(spec)))
    return ours


SEARCH_ONLY = {"baselines": {"architectures": []}, "search": {"sampler": "random", "trials": 12}}


@pytest.mark.parametrize("num_workers", [1, 2, 4])
@pytest.mark.parametrize("overhead", [0.0, 3.0])
def test_it_is_within_a_factor_of_two_after_two_trials(
    monkeypatch: pytest.MonkeyPatch, num_workers: int, overhead: float
) -> None:
    spec = make_spec(**SEARCH_ONLY, training={"epochs": 5})
    machine = _run(
        monkeypatch, spec, num_workers=num_workers, overhead=overhead,
        size_of=lambda config: 1.0 + config.number % 3,
    )  # fmt: skip
    first, *later = machine.forecasts()
    assert first[0] is None, "one trial says nothing"
    assert len(later) == 13  # and two finalists
    for remaining, left in later[:-1]:
        assert remaining is not None
        assert remaining.stage is None
        assert left / 2 <= remaining.seconds <= left * 2


def test_a_finalist_is_forecast_by_its_folds_and_images(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(**SEARCH_ONLY, confirm={"top": 1}, validation={"folds": 3, "search_folds": 1})
    machine = _run(monkeypatch, spec)
    before_the_last = machine.seen[11]
    remaining = before_the_last[1].remaining
    assert remaining is not None
    assert remaining.seconds == pytest.approx(3 * (2 * 2 / 3 + 1)), "a search trial takes 2"


def test_a_large_finalist_is_forecast_by_its_own_search_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_spec(**SEARCH_ONLY, confirm={"top": 1})
    best = _best_settings(spec)

    def size_of(config: TrialConfig) -> float:
        return 20.0 if (config.model, config.settings) == best else 1.0

    machine = _run(monkeypatch, spec, size_of=size_of)
    remaining = machine.seen[11][1].remaining
    assert remaining is not None
    assert remaining.seconds == pytest.approx(machine.now - machine.seen[11][0])


def _best_settings(spec: Any) -> tuple[Any, Any]:
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    asked = {}
    while (config := ledger.ask()) is not None:
        asked[config.number] = config
        for epoch in range(1, config.settings.epochs + 1):
            ledger.report(make_result(config, epoch))
        ledger.tell(config.number)
    best = asked[study.trials[-1].user_attrs["finalist_of"]]
    return best.model, best.settings


def test_baselines_are_forecast_alone_until_search_trials_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_spec(baselines={"architectures": ["a1", "a2"], "schemes": ["HF", "HT", "DT"]})
    machine = _run(monkeypatch, spec, size_of=lambda c: 5.0 if c.role == "baseline" else 1.0)
    found = machine.forecasts()
    assert found[0][0] is None
    stages = [None if remaining is None else remaining.stage for remaining, _ in found]
    assert stages[1:5] == ["baseline"] * 4
    ends = machine.seen[5][0]
    for (remaining, _), (at, _) in zip(found[1:5], machine.seen[1:5], strict=True):
        assert remaining is not None
        assert remaining.seconds == pytest.approx(ends - at)
    assert found[5][0] is None, "of the search nothing is known"
    assert found[6][0] is None
    assert found[7][0] == Forecast(seconds=pytest.approx(found[7][1]), stage=None)


def test_baselines_of_more_epochs_are_forecast_to_take_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        {"name": f"row{index}", "architecture": "a2", "training": {"epochs": epochs}}
        for index, epochs in enumerate((2, 2, 20, 40))
    ]
    spec = make_spec(baselines={"architectures": [], "rows": rows}, search={"trials": 0})
    machine = _run(monkeypatch, spec)
    remaining, left = machine.forecasts()[1]
    assert remaining == Forecast(seconds=pytest.approx(left), stage=None)


def test_trials_to_come_are_counted_however_many_they_are() -> None:
    search = {"sampler": "random", "trials": 10**12}
    spec = make_spec(search=search, baselines={"architectures": []})
    ledger = open_ledger(spec, open_study(spec))
    for _ in range(3):
        config = ledger.ask()
        assert config is not None
        for epoch in range(1, config.settings.epochs + 1):
            ledger.report(make_result(config, epoch, seconds=1.0))
        ledger.tell(config.number)
    remaining = ledger.snapshot().remaining
    assert remaining is not None
    assert remaining.seconds > 1e12
