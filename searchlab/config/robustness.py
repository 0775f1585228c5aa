"""RobustnessSpec: the attack under which a study measures its models."""

from __future__ import annotations

from pydantic import Field

from searchlab.config.trial import AttackConfig, AttackName
from searchlab.config.validation import Spec

__all__ = ["RobustnessSpec"]


class RobustnessSpec(Spec):
    """The attack on every trial's validation images, and on the test images if it meets them."""

    attack: AttackName = Field("fgsm", description="fgsm (one step, report 004) or pgd")
    epsilon: float = Field(0.1, ge=0, le=1, description="largest change of a pixel in [0, 1]")
    steps: int = Field(10, ge=1, le=1000, description="steps of pgd")

    def to_config(self) -> AttackConfig:
        """Return the same for a worker."""
        return AttackConfig(name=self.attack, epsilon=self.epsilon, steps=self.steps)
