"""The pruners, by name. A step is an epoch; the first is 1."""

from __future__ import annotations

from collections.abc import Callable

from optuna.pruners import BasePruner, NopPruner

from searchlab.search.pruning.halving import HyperbandPruner, SuccessiveHalvingPruner
from searchlab.search.pruning.median import MedianPruner

__all__ = ["PRUNERS", "make_pruner"]

# Each takes the number of a trial's epochs.
PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "none": lambda epochs: NopPruner(),
    # The first fifth of the epochs says little, and so does a median of fewer than five trials.
    "median": lambda epochs: MedianPruner(startup_trials=5, warmup_epochs=max(1, epochs // 5)),
    # Rungs at a sixth, a third and two thirds of the epochs, with the better half going on: with
    # rungs from epoch 1 and a third of the trials, slow starters never live (benchmarks/README.md).
    "halving": lambda epochs: SuccessiveHalvingPruner(factor=2, first_epoch=-(-epochs // 6)),
    "successive_halving": lambda epochs: SuccessiveHalvingPruner(),
    "hyperband": lambda epochs: HyperbandPruner(epochs=epochs),
}


def make_pruner(name: str, *, epochs: int) -> BasePruner:
    """Return a new pruner for one study whose trials have ``epochs`` epochs."""
    return PRUNERS[name](epochs)
