"""The samplers' names, and what each of them can and cannot search."""

from __future__ import annotations

from typing import Literal

from searchlab.errors import InputError

__all__ = ["PLANNED_SAMPLERS", "WHOLE_SPACE_SAMPLERS", "SamplerName", "check_sampler"]

SamplerName = Literal[
    "tpe", "random", "gp", "cmaes", "nsga2", "qmc", "evolution", "grid", "one_at_a_time"
]

PLANNED_SAMPLERS = ("grid", "one_at_a_time")
"""Samplers whose trials are a list known beforehand."""

WHOLE_SPACE_SAMPLERS = ("gp", "cmaes", "nsga2", "qmc", "evolution")
"""Samplers that must know every parameter that could be active before they ask for a trial."""

_SINGLE_OBJECTIVE_SAMPLERS = ("cmaes", "evolution")


def check_sampler(name: str, num_objectives: int) -> None:
    """Raise InputError if a sampler cannot weigh so many objectives."""
    if num_objectives > 1 and name in _SINGLE_OBJECTIVE_SAMPLERS:
        raise InputError(
            f"must be one that weighs several objectives, here {num_objectives}",
            where=("search", "sampler"),
            found=name,
            remedy="It ranks trials by one. Use nsga2, tpe or gp",
        )
