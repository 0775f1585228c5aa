"""The schedules: the learning rate as a function only of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from searchlab.config.settings import ScheduleName, TrainingSettings
from searchlab.training.optimizers import rate_scales

__all__ = ["SCHEDULES", "Schedule"]

# torch's defaults of OneCycleLR (Smith and Topin 2018)
_RISE = 0.3  # share of the steps
_START_DIVISOR = 25.0
_END_DIVISOR = 1e4


def _keep(settings: TrainingSettings, step: int, num_steps: int, steps_per_epoch: int) -> float:
    return settings.lr


def _follow_cosine(
    settings: TrainingSettings, step: int, num_steps: int, steps_per_epoch: int
) -> float:
    return _anneal(settings.lr, 0.0, step / num_steps)


def _drop(settings: TrainingSettings, step: int, num_steps: int, steps_per_epoch: int) -> float:
    return settings.lr * settings.step_factor ** (step // (settings.step_epochs * steps_per_epoch))


def _cycle_once(
    settings: TrainingSettings, step: int, num_steps: int, steps_per_epoch: int
) -> float:
    """Follow torch's OneCycleLR with ``cycle_momentum=False``.

    By default, torch also moves momentum between 0.95 and 0.85, opposite to the rate. Here momentum
    stays as configured.
    """
    start = settings.lr / _START_DIVISOR
    peak = _RISE * num_steps - 1  # a step, not always whole
    if step <= peak:
        return _anneal(start, settings.lr, step / peak)
    return _anneal(settings.lr, start / _END_DIVISOR, (step - peak) / (num_steps - 1 - peak))


SCHEDULES: dict[ScheduleName, Callable[[TrainingSettings, int, int, int], float]] = {
    "constant": _keep,
    "cosine": _follow_cosine,
    "step": _drop,
    "one_cycle": _cycle_once,
}
"""Each schedule's rate, given the settings, the step, the number of steps, and the steps per epoch.

Steps are counted from the end of the warm-up.
"""

_RISING: tuple[ScheduleName, ...] = ("one_cycle",)
"""Schedules with their own rise to the highest rate, which use no warm-up."""


class Schedule:
    """The learning rate at every step of a trial.

    It has no state: a resumed trial needs only its step. ``lr`` is the highest rate. Warm-up rises
    linearly to it over ``warmup_epochs`` (limited by the trial's end), and the schedule runs over
    the remaining epochs.
    """

    def __init__(self, settings: TrainingSettings, *, steps_per_epoch: int) -> None:
        self._settings = settings
        self._rate = SCHEDULES[settings.schedule]
        self._steps_per_epoch = steps_per_epoch
        self._num_steps = settings.epochs * steps_per_epoch
        warmup = 0.0 if settings.schedule in _RISING else settings.warmup_epochs
        self._warmup_steps = min(round(warmup * steps_per_epoch), self._num_steps)

    def lr_at(self, step: int) -> float:
        """Return the rate of a step; steps count from 0 over all epochs of the trial."""
        assert 0 <= step < self._num_steps, (step, self._num_steps)
        if step < self._warmup_steps:
            return self._settings.lr * (step + 1) / self._warmup_steps
        remaining = self._num_steps - self._warmup_steps
        return self._rate(
            self._settings, step - self._warmup_steps, remaining, self._steps_per_epoch
        )

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Set the optimizer's learning rates, numbers or tensors, to those of ``step``."""
        lr = self.lr_at(step)
        for group, scale in zip(optimizer.param_groups, rate_scales(optimizer), strict=True):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr * scale)
            else:
                group["lr"] = lr * scale


def _anneal(start: float, end: float, share: float) -> float:
    """Return the value at ``share`` in [0, 1] of half a cosine from ``start`` to ``end``."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
