"""ResourceSpec: what a study's workers get."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from searchlab.config.validation import Number, Spec, is_finite, located_error

__all__ = ["ResourceSpec"]


def _check_auto(value: object) -> object:
    is_bool = isinstance(value, bool)  # which Python counts among the ints
    if value == "auto" or (isinstance(value, (int, float)) and not is_bool and is_finite(value)):
        return value
    raise ValueError(f"must be auto or a finite number, got {value!r}")


AutoNumber = Annotated[Literal["auto"] | int | float, BeforeValidator(_check_auto)]


class ResourceSpec(Spec):
    """What each worker gets and how many there are; ``auto`` fills the machine."""

    cpus: Number = Field(1, description="CPU cores per worker")
    gpus: AutoNumber = Field("auto", description="GPUs per worker, below 1 may be a fraction")
    workers: AutoNumber = Field("auto", description="trials that run at once")
    checkpoint_seconds: Number = Field(
        30, description="how often a trial saves its state: the most that a crash loses"
    )

    @model_validator(mode="after")
    def _check(self) -> ResourceSpec:
        if self.cpus <= 0:
            raise located_error(f"must be > 0, got {self.cpus!r}", "cpus")
        if self.gpus != "auto" and self.gpus < 0:
            raise located_error(f"must be >= 0, got {self.gpus!r}", "gpus")
        if self.gpus != "auto" and self.gpus > 1 and self.gpus != int(self.gpus):  # Ray's own rule
            raise located_error(
                f"must be a fraction of a GPU or a whole number of them, got {self.gpus!r}",
                "gpus",
            )
        if self.checkpoint_seconds < 0:
            raise located_error(
                f"must be >= 0 seconds, got {self.checkpoint_seconds!r}", "checkpoint_seconds"
            )
        if self.workers != "auto" and (self.workers < 1 or self.workers != int(self.workers)):
            raise located_error(f"must be a whole number >= 1, got {self.workers!r}", "workers")
        return self
