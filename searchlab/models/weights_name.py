"""The type of a family parameter that names the weights a network starts from."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from searchlab.config.relative_paths import WEIGHT_SUFFIXES
from searchlab.errors import InputError

__all__ = ["HubWeights", "ImagenetWeights"]


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
