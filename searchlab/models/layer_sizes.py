"""Types of the size parameters that several families share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from searchlab.errors import InputError

__all__ = ["NumFilters", "NumUnits", "OddKernel"]


def _check_odd(side: int) -> int:
    if side % 2 == 0:
        raise InputError("must be odd, so that padding keeps the size")
    return side


NumFilters = Annotated[int, Field(ge=1, le=1024)]
"""Filters of a layer."""

NumUnits = Annotated[int, Field(ge=1, le=4096)]
"""Units of a fully connected layer."""

OddKernel = Annotated[
    int,
    Field(ge=1, le=11),
    AfterValidator(_check_odd),
    WithJsonSchema({"type": "integer", "enum": [1, 3, 5, 7, 9, 11]}),
]
"""Side of a kernel."""
