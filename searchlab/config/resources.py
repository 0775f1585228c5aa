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
    gpus: AutoNumber = Field("auto", description="GPUs per worker; a fraction is possible below 1")
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
        if self.gpus != "auto" and self.gpus > 1 and self.gpus != int(self.gpus):  # Ray's own rule
            raise InputError(
                "must be a fraction of a GPU or a whole number of them",
                where=("gpus",),
                found=self.gpus,
            )
        if self.checkpoint_seconds < 0:
            raise InputError(
                "must be >= 0 seconds", where=("checkpoint_seconds",), found=self.checkpoint_seconds
            )
        if self.workers != "auto" and (self.workers < 1 or self.workers != int(self.workers)):
            raise InputError("must be a whole number >= 1", where=("workers",), found=self.workers)
        return self
