"""The pruners, by name. A step is an epoch, the first is 1."""

from __future__ import annotations

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)

__all__ = ["make_pruner"]


def make_pruner(name: str, *, epochs: int) -> BasePruner:
    """Return a pruner for trials of ``epochs`` epochs."""
    if name == "median":
        # The first fifth of the epochs says little; of fewer than five trials a median says less.
        return MedianPruner(n_startup_trials=5, n_warmup_steps=1 + max(1, epochs // 5))
    if name == "successive_halving":
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    if name == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)
    assert name == "none", name
    return NopPruner()
