"""From a space to an Optuna trial's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from searchlab.config.space import Choice, Range, SpaceSpec
from searchlab.study.space.points import Point, walk

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

    from searchlab.config.trial import Scalar

__all__ = ["suggest"]


def suggest(trial: BaseTrial, space: SpaceSpec) -> Point:
    """Ask an Optuna trial for every searched parameter; return them with the fixed ones."""

    def choose(name: str, node: Choice | Range) -> Scalar:
        if isinstance(node, Choice):
            return cast("Scalar", trial.suggest_categorical(name, node.root))
        if node.is_int:
            step = int(node.step or 1)
            return trial.suggest_int(name, int(node.low), int(node.high), step=step, log=node.log)
        return trial.suggest_float(name, node.low, node.high, step=node.step, log=node.log)

    return walk(space, choose)
