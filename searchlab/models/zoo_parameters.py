"""Types of the parameters of networks that others have designed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from searchlab.config.relative_paths import RUN_PREFIX, WEIGHT_SUFFIXES
from searchlab.errors import InputError

__all__ = ["DropPath", "HubWeights", "ImagenetWeights", "Trainable"]


class _OneOf:
    """Checks that a value is ``none``, another name, a run, or the path of a weights file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, value: str) -> str:
        is_file = value.endswith(WEIGHT_SUFFIXES)
        if not (is_file or value in ("none", self._name) or value.startswith(RUN_PREFIX)):
            raise InputError(
                f"must be none, {self._name}, run:NAME, or the path of a file ending in "
                f"{WEIGHT_SUFFIXES}"
            )
        return value


ImagenetWeights = Annotated[
    str,
    AfterValidator(_OneOf("imagenet")),
    Field(
        description="initial weights: none, imagenet (torchvision's), run:NAME (of a study's "
        "winner), or a .pth, .pt or .safetensors file"
    ),
]
"""``none``, ``imagenet``, ``run:NAME`` or ``run:NAME#12``, or a file of tensors by name."""

HubWeights = Annotated[
    str,
    AfterValidator(_OneOf("hub")),
    Field(
        description="initial weights: none, hub (timm's own), run:NAME (of a study's winner), or a "
        ".pth, .pt or .safetensors file"
    ),
]
"""``none``, ``hub``, ``run:NAME`` or ``run:NAME#12``, or a file of tensors by name."""

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
