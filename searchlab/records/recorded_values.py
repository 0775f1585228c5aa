"""The values of a trial's parameters as people write them.

Optuna and its samplers count in floats, so that of the range 0.1, 0.2, ... they record
0.30000000000000004 where the space, a baseline and a reader say 0.3. What searchlab draws is
recorded as written; what an earlier searchlab or another program recorded is read so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, FloatDistribution

from searchlab.config.nodes import at_step

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

__all__ = ["as_written", "params_of"]


def as_written(value: Any, distribution: BaseDistribution) -> Any:
    """Return a value of a distribution; one that lies on a step is the step's own."""
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return value
    low, high, step = distribution.low, distribution.high, distribution.step
    return at_step(value, low=low, high=high, step=step)


def params_of(trial: FrozenTrial | Trial) -> dict[str, Any]:
    """Return the parameters of a trial as written."""
    distributions = trial.distributions
    return {name: as_written(value, distributions[name]) for name, value in trial.params.items()}
