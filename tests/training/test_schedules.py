from __future__ import annotations

import warnings
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from searchlab.config.settings import ScheduleName, TrainingSettings
from searchlab.training.schedules import SCHEDULES, Schedule

LR = 0.3
LENGTHS = {"epochs": st.integers(1, 12), "steps_per_epoch": st.integers(1, 9)}


def make_optimizer() -> torch.optim.SGD:
    groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(2)]
    return torch.optim.SGD(groups, lr=LR)


def run_torch(scheduler: lr_scheduler.LRScheduler, num_steps: int) -> list[float]:
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no optimizer step before the scheduler's
        for _ in range(num_steps):
            rates.append(scheduler.optimizer.param_groups[0]["lr"])
            if len(rates) < num_steps:
                scheduler.step()
    return rates


def run(schedule: Schedule, num_steps: int) -> list[float]:
    return [schedule.lr_at(step) for step in range(num_steps)]


@given(**LENGTHS)
@settings(deadline=None, max_examples=40)
def test_constant_stays(epochs: int, steps_per_epoch: int) -> None:
    settings = TrainingSettings(lr=LR, epochs=epochs)
    schedule = Schedule(settings, steps_per_epoch=steps_per_epoch)
    assert set(run(schedule, epochs * steps_per_epoch)) == {LR}


@given(**LENGTHS)
@settings(deadline=None, max_examples=40)
def test_cosine_is_torchs(epochs: int, steps_per_epoch: int) -> None:
    total = epochs * steps_per_epoch
    settings = TrainingSettings(lr=LR, epochs=epochs, schedule="cosine")
    schedule = Schedule(settings, steps_per_epoch=steps_per_epoch)
    expected = run_torch(lr_scheduler.CosineAnnealingLR(make_optimizer(), total), total)
    assert run(schedule, total) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(**LENGTHS, step_epochs=st.integers(1, 5), factor=st.sampled_from([0.1, 0.5, 1.0]))
@settings(deadline=None, max_examples=40)
def test_step_is_torchs(epochs: int, steps_per_epoch: int, step_epochs: int, factor: float) -> None:
    total = epochs * steps_per_epoch
    settings = TrainingSettings(
        lr=LR, epochs=epochs, schedule="step", step_epochs=step_epochs, step_factor=factor
    )
    schedule = Schedule(settings, steps_per_epoch=steps_per_epoch)
    reference = lr_scheduler.StepLR(make_optimizer(), step_epochs * steps_per_epoch, factor)
    assert run(schedule, total) == pytest.approx(run_torch(reference, total), rel=1e-9)


@given(**LENGTHS, warmup_epochs=st.sampled_from([0.0, 2.0]))
@settings(deadline=None, max_examples=60)
def test_one_cycle_is_torchs_and_has_no_warm_up(
    epochs: int, steps_per_epoch: int, warmup_epochs: float
) -> None:
    total = epochs * steps_per_epoch
    settings = TrainingSettings(
        lr=LR, epochs=epochs, schedule="one_cycle", warmup_epochs=warmup_epochs
    )
    schedule = Schedule(settings, steps_per_epoch=steps_per_epoch)
    reference = lr_scheduler.OneCycleLR(
        make_optimizer(), LR, total_steps=total, cycle_momentum=False
    )
    assert run(schedule, total) == pytest.approx(run_torch(reference, total), rel=1e-9)


@given(steps_per_epoch=st.integers(2, 9), warmup_epochs=st.sampled_from([1.0, 1.5, 3.0]))
@settings(deadline=None, max_examples=20)
@pytest.mark.parametrize("name", ["constant", "cosine", "step"])
def test_warm_up_comes_before_the_schedule_as_torchs(
    name: ScheduleName, steps_per_epoch: int, warmup_epochs: float
) -> None:
    total = 8 * steps_per_epoch
    settings = TrainingSettings(
        lr=LR, epochs=8, schedule=name, warmup_epochs=warmup_epochs, step_epochs=2
    )
    schedule = Schedule(settings, steps_per_epoch=steps_per_epoch)
    warmup = round(warmup_epochs * steps_per_epoch)
    optimizer = make_optimizer()
    rise = lr_scheduler.LinearLR(optimizer, 1 / warmup, total_iters=warmup - 1)
    after: dict[str, lr_scheduler.LRScheduler] = {
        "constant": lr_scheduler.ConstantLR(optimizer, factor=1.0),
        "cosine": lr_scheduler.CosineAnnealingLR(optimizer, total - warmup),
        "step": lr_scheduler.StepLR(optimizer, 2 * steps_per_epoch),
    }
    reference = lr_scheduler.SequentialLR(optimizer, [rise, after[name]], [warmup])
    expected = run_torch(reference, total)
    assert run(schedule, total) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert expected[0] == pytest.approx(LR / warmup)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_longer_than_the_trial_is_cut(name: ScheduleName) -> None:
    settings = TrainingSettings(lr=LR, epochs=2, schedule=name, warmup_epochs=50.0)
    rates = run(Schedule(settings, steps_per_epoch=5), 10)
    if name != "one_cycle":
        assert rates == pytest.approx([LR * (step + 1) / 10 for step in range(10)])
    assert max(rates) <= LR


def test_apply_sets_every_group() -> None:
    optimizer = make_optimizer()
    settings = TrainingSettings(schedule="cosine", lr=LR, epochs=2)
    schedule = Schedule(settings, steps_per_epoch=2)
    schedule.apply(optimizer, 2)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([LR / 2, LR / 2])


@pytest.mark.parametrize("step", [-1, 4])
def test_a_step_outside_the_trial_is_a_bug(step: int) -> None:
    with pytest.raises(AssertionError):
        Schedule(TrainingSettings(epochs=2), steps_per_epoch=2).lr_at(step)


def test_every_schedule_that_a_study_may_name_is_made() -> None:
    assert set(SCHEDULES) == set(get_args(ScheduleName))
