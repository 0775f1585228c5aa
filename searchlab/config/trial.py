"""TrialConfig: the one thing that is sent to a worker. Frozen, small, and exact through JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from searchlab.config.metrics import DEFAULT_METRIC, Direction

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "AUGMENTATIONS",
    "INITS",
    "OPTIMIZERS",
    "ROLES",
    "SCHEDULES",
    "SCHEMES",
    "AttackConfig",
    "AttackName",
    "AugmentConfig",
    "FoldPlan",
    "Init",
    "ModelConfig",
    "Normalization",
    "ObjectiveConfig",
    "OptimizerConfig",
    "OptimizerName",
    "Precision",
    "Role",
    "Scalar",
    "ScheduleConfig",
    "ScheduleName",
    "Scheme",
    "TrialConfig",
]

Scalar = bool | int | float | str
Scheme = Literal["HF", "HT", "DT"]
Role = Literal["baseline", "search", "finalist"]
Init = Literal[
    "default", "normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"
]
OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop"]
ScheduleName = Literal["constant", "cosine", "step", "one_cycle"]
AttackName = Literal["fgsm", "pgd"]
Normalization = Literal["standard", "unit", "half", "imagenet"]
Precision = Literal["float32", "bfloat16"]

ROLES: tuple[Role, ...] = ("baseline", "search", "finalist")
SCHEMES: tuple[Scheme, ...] = ("HF", "HT", "DT")
INITS: tuple[Init, ...] = (
    "default", "normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal",
)  # fmt: skip
OPTIMIZERS: tuple[OptimizerName, ...] = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULES: tuple[ScheduleName, ...] = ("constant", "cosine", "step", "one_cycle")
AUGMENTATIONS: tuple[str, ...] = ("flip", "rotate", "jitter", "crop", "cutout")


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
    """The optimizer and its settings; ``momentum`` is used by sgd and rmsprop, ``nesterov`` by sgd.

    ``clip_norm`` bounds the norm of all gradients together; 0 leaves them alone.
    """

    name: OptimizerName = "adam"
    lr: float = 1e-3
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    clip_norm: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate moves, from step to step, over a trial's epochs.

    ``warmup_epochs`` rise linearly from zero before the schedule sets in (one_cycle has a rise of
    its own). ``step`` multiplies by ``step_factor`` every ``step_epochs``.
    """

    name: ScheduleName = "constant"
    warmup_epochs: float = 0.0
    step_epochs: int = 10
    step_factor: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Which random changes training images get, in the order of ``AUGMENTATIONS``.

    ``degrees`` bounds a rotation either way. ``brightness``, ``contrast`` and ``saturation`` bound
    factors in 1 +- value, ``hue`` a shift in turns of the colour circle. ``crop_padding`` pixels
    are added on each side before a crop to the old size; ``cutout_size`` is the side of the square
    that is blanked.
    """

    operations: tuple[str, ...] = ()
    degrees: float = 10.0
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.0
    crop_padding: int = 4
    cutout_size: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackConfig:
    """A perturbation of at most ``epsilon`` a pixel, where pixels lie in [0, 1].

    fgsm takes one step (report 004); pgd takes ``steps`` from a random start.
    """

    name: AttackName = "fgsm"
    epsilon: float = 0.1
    steps: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """What a trial's value is: a metric of its folds, at its best epoch or at the last."""

    metric: str = DEFAULT_METRIC
    direction: Direction = "maximize"
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
    trials of one study that share a configuration are the same to the bit. ``objective`` is the
    study's first, by which epochs are chosen. ``adversarial`` perturbs training images,
    ``robustness`` those of validation and test, beside the clean ones. ``patience`` epochs without
    a better one end a trial early; None trains them all. ``measures`` are the metrics that it
    measures on request. ``initial_weights`` is a folder to load them from instead of drawing them.
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
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    label_smoothing: float = 0.0
    adversarial: AttackConfig | None = None
    robustness: AttackConfig | None = None
    patience: int | None = None
    precision: Precision = "float32"
    measures: tuple[str, ...] = ()
    initial_weights: str | None = None
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
