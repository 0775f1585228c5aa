"""Learning rates from step to step, as functions of the step alone."""

from __future__ import annotations

import math

import torch

from searchlab.config.trial import ScheduleConfig

__all__ = ["Schedule"]

# torch's defaults of OneCycleLR (Smith and Topin 2018)
_RISE = 0.3  # share of the steps
_START_DIVISOR = 25.0
_END_DIVISOR = 1e4


class Schedule:
    """The learning rate at every step of a trial.

    It keeps no state: a trial that is taken up again needs nothing but its step. ``lr`` is the
    highest rate. Warm-up rises linearly to it over ``warmup_epochs`` (cut at the trial's end), and
    cosine and step run over the epochs that remain; one_cycle rises by itself, without warm-up.

    one_cycle is torch's OneCycleLR with ``cycle_momentum=False``; by default torch's also moves
    momentum, against the rate, between 0.95 and 0.85. Here momentum stays as configured.
    """

    def __init__(
        self, config: ScheduleConfig, lr: float, *, epochs: int, steps_per_epoch: int
    ) -> None:
        self._config = config
        self._lr = lr
        self._steps_per_epoch = steps_per_epoch
        self._num_steps = epochs * steps_per_epoch
        warmup = 0.0 if config.name == "one_cycle" else config.warmup_epochs
        self._warmup_steps = min(round(warmup * steps_per_epoch), self._num_steps)

    def lr_at(self, step: int) -> float:
        """Return the rate of a step, counted from 0 over all epochs of the trial."""
        assert 0 <= step < self._num_steps, (step, self._num_steps)
        if step < self._warmup_steps:
            return self._lr * (step + 1) / self._warmup_steps
        step -= self._warmup_steps
        if self._config.name == "cosine":
            return _anneal(self._lr, 0.0, step / (self._num_steps - self._warmup_steps))
        if self._config.name == "step":
            drops = step // (self._config.step_epochs * self._steps_per_epoch)
            return self._lr * self._config.step_factor**drops
        if self._config.name == "one_cycle":
            return self._one_cycle(step)
        return self._lr

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Set the rate of all the optimizer's parameters to that of ``step``."""
        lr = self.lr_at(step)
        for group in optimizer.param_groups:
            group["lr"] = lr

    def _one_cycle(self, step: int) -> float:
        start = self._lr / _START_DIVISOR
        peak = _RISE * self._num_steps - 1  # a step, not always a whole one
        if step <= peak:
            return _anneal(start, self._lr, step / peak)
        share = (step - peak) / (self._num_steps - 1 - peak)
        return _anneal(self._lr, start / _END_DIVISOR, share)


def _anneal(start: float, end: float, share: float) -> float:
    """Return the value after a ``share`` in [0, 1] of half a cosine from ``start`` to ``end``."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
