"""ResourceSpec: the resources of a study's workers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from searchlab.config.validation import Number, Spec, is_finite
from searchlab.errors import InputError

__all__ = ["ResourceSpec"]


def _check_auto(value: object) -> object:
    is_bool = isinstance(value, bool)  # Python counts bools as ints
    if value == "auto" or (isinstance(value, (int, float)) and not is_bool and is_finite(value)):
        return value
    raise InputError("must be auto or a finite number", found=value)


AutoNumber = Annotated[Literal["auto"] | int | float, BeforeValidator(_check_auto)]


class ResourceSpec(Spec):
    """What each worker gets and how many there are; ``auto`` fills the machine."""

    cpus: Number = Field(1, description="CPU cores per worker")
    gpus: AutoNumber = Field("auto", description="GPUs per worker; below 1 they share one")
    workers: AutoNumber = Field("auto", description="number of trials that run at once")
    checkpoint_seconds: Number = Field(
        30, description="how often a trial saves its state, in seconds; a crash loses no more"
    )

    @model_validator(mode="after")
    def _check(self) -> ResourceSpec:
        if self.cpus <= 0:
            raise InputError("must be > 0", where=("cpus",), found=self.cpus)
        if self.gpus != "auto" and self.gpus < 0:
            raise InputError("must be >= 0", where=("gpus",), found=self.gpus)
        if self.gpus != "auto" and self.gpus > 1:
            raise InputError(
                "must be at most 1, because a trial trains on one GPU and a second would idle",
                where=("gpus",),
                found=self.gpus,
                remedy="Set it to 1: as many trials run at once as there are GPUs",
            )
        if self.checkpoint_seconds < 0:
            raise InputError(
                "must be >= 0 seconds", where=("checkpoint_seconds",), found=self.checkpoint_seconds
            )
        if self.workers != "auto" and (self.workers < 1 or self.workers != int(self.workers)):
            raise InputError("must be a whole number >= 1", where=("workers",), found=self.workers)
        return self
