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
        # A tenth of the epochs is too early to judge; five trials are too few to have a median.
        return MedianPruner(n_startup_trials=5, n_warmup_steps=max(1, epochs // 10))
    if name == "successive_halving":
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    if name == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)
    assert name == "none", name
    return NopPruner()
