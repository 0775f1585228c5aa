"""TrialConfig: the one thing that is sent to a worker. Frozen, small, and exact through JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "INITS",
    "OPTIMIZERS",
    "ROLES",
    "SCHEMES",
    "FoldPlan",
    "Init",
    "ModelConfig",
    "Normalization",
    "ObjectiveConfig",
    "OptimizerConfig",
    "OptimizerName",
    "Role",
    "Scalar",
    "Scheme",
    "TrialConfig",
]

Scalar = bool | int | float | str
Scheme = Literal["HF", "HT", "DT"]
Role = Literal["baseline", "search", "finalist"]
Init = Literal[
    "default", "normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"
]
OptimizerName = Literal["sgd", "adam", "adamw"]
Normalization = Literal["standard", "unit"]

ROLES: tuple[Role, ...] = ("baseline", "search", "finalist")
SCHEMES: tuple[Scheme, ...] = ("HF", "HT", "DT")
INITS: tuple[Init, ...] = (
    "default", "normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal",
)  # fmt: skip
OPTIMIZERS: tuple[OptimizerName, ...] = ("sgd", "adam", "adamw")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """An architecture: a family, the family's own parameters, and how its weights begin.

    ``parameters`` holds only what was chosen; a family fills in its own defaults. A parameter
    with one value per layer is a tuple. ``dropout`` is a probability in [0, 1).
    """

    family: str
    parameters: dict[str, Scalar | tuple[Scalar, ...]] = field(default_factory=dict)
    scheme: Scheme = "DT"
    init: Init = "default"
    dropout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """The optimizer and its settings; ``momentum`` is used by sgd only."""

    name: OptimizerName = "adam"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """What a trial's value is: a validation metric, at its best epoch or at the last."""

    metric: Literal["accuracy", "loss"] = "accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"
    at: Literal["best", "last"] = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldPlan:
    """Which members a trial's cohort has.

    ``folds`` are the validation folds trained here, out of ``num_folds``; the first
    ``search_folds`` of them give the trial's value. ``test`` adds one more member, trained on the
    whole training set, that meets the test set once, at the end (DESIGN 6).
    """

    num_folds: int
    folds: tuple[int, ...]
    search_folds: int
    test: bool = False

    @property
    def num_members(self) -> int:
        """Number of models that the trial trains in lockstep."""
        return len(self.folds) + int(self.test)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """One configuration, complete: all that a worker needs besides the images.

    ``seed`` is the study's; with ``number`` left out of the weights' and data order's keys, two
    trials of one study that share a configuration are the same to the bit.
    """

    number: int
    seed: int
    role: Role = "search"
    dataset: str
    normalize: Normalization = "standard"
    epochs: int
    batch_size: int
    model: ModelConfig
    optimizer: OptimizerConfig
    objective: ObjectiveConfig
    folds: FoldPlan

    def to_json(self) -> str:
        """Serialise; ``from_json`` gives back an equal object."""
        return _adapter().dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> TrialConfig:
        """Rebuild what ``to_json`` wrote. Raises pydantic's ``ValidationError`` for all else."""
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[TrialConfig]:
    from pydantic import TypeAdapter  # 0.1 s, which the command line's --help need not pay

    return TypeAdapter(TrialConfig)
