"""Lion (Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, algorithm 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

__all__ = ["Lion"]


class Lion(Optimizer):
    """Steps by the sign of a momentum, with decoupled weight decay.

    A learning rate may be a tensor: a step then waits for nothing, so a CUDA graph can record it.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float = 0.0,
        betas: Sequence[float] = (0.9, 0.99),
    ) -> None:
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {betas}")
        defaults = {"lr": lr, "weight_decay": weight_decay, "betas": tuple(betas)}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            rate, (now, later) = group["lr"], group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"]
                direction = torch.lerp(weight.grad, momentum, now).sign_()
                weight.mul_(1 - rate * group["weight_decay"])
                weight.sub_(direction.mul_(rate))
                momentum.lerp_(weight.grad, 1 - later)
