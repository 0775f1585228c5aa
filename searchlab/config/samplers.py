"""The samplers' names and what each can search. Their code is in ``search/samplers/``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from searchlab.errors import InputError

__all__ = ["SAMPLERS", "SamplerName", "SamplerTraits", "check_sampler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerTraits:
    """What a study must know about a sampler before it starts.

    A planned sampler knows the list of its trials in advance; a whole-space sampler must know every
    parameter that could be active before it asks for a trial. Neither works with a Python function.
    ``has_reference_start`` tells whether the search may begin with reference points.
    """

    planned: bool = False
    has_reference_start: bool = True
    whole_space: bool = False
    several_objectives: bool = True

    @property
    def needs_a_space_file(self) -> bool:
        """Whether the space must be known in advance."""
        return self.planned or self.whole_space


SAMPLERS = {
    "auto": SamplerTraits(),
    "tpe": SamplerTraits(),
    "random": SamplerTraits(has_reference_start=False),
    "gp": SamplerTraits(whole_space=True),
    "cmaes": SamplerTraits(whole_space=True, several_objectives=False),
    "nsga2": SamplerTraits(whole_space=True),
    "qmc": SamplerTraits(whole_space=True),
    "evolution": SamplerTraits(whole_space=True, several_objectives=False),
    "grid": SamplerTraits(planned=True, has_reference_start=False),
    "one_at_a_time": SamplerTraits(planned=True, has_reference_start=False),
}

if TYPE_CHECKING:
    SamplerName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]  # for pydantic, whose errors and schemas list the names


def check_sampler(name: str, num_objectives: int) -> None:
    """Raise InputError if a sampler cannot optimise this many objectives."""
    if num_objectives > 1 and not SAMPLERS[name].several_objectives:
        raise InputError(
            f"must support several objectives if there are {num_objectives}",
            where=("search", "sampler"),
            found=name,
            remedy="Use nsga2, tpe or gp; this one ranks trials by one objective",
        )
