"""Types of the parameters of networks that others have designed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from searchlab.config.relative_paths import WEIGHT_SUFFIXES
from searchlab.errors import InputError

__all__ = ["DropPath", "HubWeights", "ImagenetWeights", "Trainable"]


class _OneOf:
    """Checks that a value is ``none``, another name, or the path of a weights file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, value: str) -> str:
        if value not in ("none", self._name) and not value.endswith(WEIGHT_SUFFIXES):
            raise InputError(
                f"must be none, {self._name}, or the path of a file ending in {WEIGHT_SUFFIXES}"
            )
        return value


ImagenetWeights = Annotated[str, AfterValidator(_OneOf("imagenet"))]
"""``none``, ``imagenet`` (torchvision's own), or a file of tensors by name."""

HubWeights = Annotated[str, AfterValidator(_OneOf("hub"))]
"""``none``, ``hub`` (downloaded by timm), or a file of tensors by name."""

Trainable = Annotated[
    Literal["head", "last+head", "all"],
    Field(description="what is trained: the head, the last block too, or all"),
]
"""The parts of a network that ``adaptation.freeze_body`` leaves to train."""

DropPath = Annotated[
    float,
    Field(
        ge=0, lt=1, description="probability of leaving out a block in training (stochastic depth)"
    ),
]
"""The probability of the last block; it rises from the first."""
