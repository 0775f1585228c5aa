"""A forward pass timed: what runs, and what state it leaves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from trial_configs import load_digits, make_trial

from searchlab.config.trial import FoldPlan
from searchlab.training import latency
from searchlab.training.cohort import Cohort
from searchlab.training.latency import measure_latency


class _Spy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 2)
        self.seen: list[tuple[torch.Size, bool, torch.dtype]] = []

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images.flatten(1))
        self.seen.append((images.shape, self.training, logits.dtype))
        return logits


@pytest.mark.parametrize("was_training", [True, False])
def test_one_image_passes_in_eval_mode_and_the_mode_comes_back(was_training: bool) -> None:
    model = _Spy().train(was_training)
    assert measure_latency(model, (3, 2, 2), torch.device("cpu")) > 0
    assert set(model.seen) == {(torch.Size((1, 3, 2, 2)), False, torch.float32)}
    assert model.training is was_training


def test_it_is_measured_in_the_trials_precision() -> None:
    model = _Spy()
    measure_latency(model, (3, 2, 2), torch.device("cpu"), precision="bfloat16")
    assert {dtype for _, _, dtype in model.seen} == {torch.bfloat16}


def test_the_median_in_milliseconds_leaves_warm_up_and_outliers_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths = [9.0] * 5 + [0.002] * 26 + [7.0] * 24
    ticks = [tick for length in lengths for tick in (0.0, length)]
    monkeypatch.setattr(latency.time, "perf_counter", iter(ticks).__next__)
    milliseconds = measure_latency(_Spy(), (3, 2, 2), torch.device("cpu"))
    monkeypatch.undo()
    assert milliseconds == 2.0


def test_a_trial_measures_what_it_is_asked_for_and_latency_in_its_last_result_only() -> None:
    digits = load_digits()
    plan = FoldPlan(num_folds=5, folds=(0,), search_folds=1)
    cohort = Cohort(make_trial(epochs=2, folds=plan, measures=("latency", "multiply_adds")), digits)
    first, last = cohort.run_epoch(), cohort.run_epoch()
    assert first.figures.keys() == {"parameters", "multiply_adds"}
    assert last.figures.keys() == {"parameters", "multiply_adds", "latency"}
    assert all(figure > 0 for figure in last.figures.values())
    unasked = Cohort(make_trial(epochs=1, folds=plan), digits).run_epoch()
    assert unasked.figures.keys() == {"parameters"}
