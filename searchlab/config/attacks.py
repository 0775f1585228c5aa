"""AttackSpec: an attack on images, for measuring or training models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from searchlab.config.validation import Spec

__all__ = ["AttackName", "AttackSpec"]

AttackName = Literal["fgsm", "pgd"]


class AttackSpec(Spec):
    """A perturbation of at most ``epsilon`` per pixel.

    ``fgsm`` takes one step (report 004); ``pgd`` takes ``steps`` from a random start.
    """

    attack: AttackName = Field("fgsm", description="attack")
    epsilon: float = Field(0.1, ge=0, le=1, description="largest change of a pixel in [0, 1]")
    steps: int = Field(10, ge=1, le=1000, description="number of pgd steps")
