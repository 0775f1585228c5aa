"""TrainingSettings: how a model is trained. Each setting is declared here, and only here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from searchlab.config.attacks import AttackName, AttackSpec
from searchlab.config.own_code import name_or_reference, name_or_reference_schema
from searchlab.config.validation import Spec, Value, to_input_error, to_tuple
from searchlab.errors import InputError, did_you_mean

__all__ = [
    "AUGMENTATIONS",
    "CODE_SETTINGS",
    "OPTIMIZER_SETTINGS",
    "SHARED_PARAMETERS",
    "Init",
    "OptimizerName",
    "Precision",
    "SamplingName",
    "ScheduleName",
    "TrainingSettings",
    "refuse_idle_nesterov",
    "refuse_patience",
    "refuse_twofold_balance",
    "split_augment",
]

Init = Literal[
    "default", "normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"
]
OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop", "lion"]
ScheduleName = Literal["constant", "cosine", "step", "one_cycle"]
LossName = Literal["cross_entropy", "focal", "bce"]
SamplingName = Literal["shuffle", "balanced"]
Precision = Literal["float32", "bfloat16", "float16", "auto"]

AUGMENTATIONS: tuple[str, ...] = (
    "flip",
    "rotate",
    "jitter",
    "crop",
    "trivial",
    "randaugment",
    "cutout",
    "erase",
)
"""Random changes of training images, in the order in which they are applied."""


def split_augment(text: str) -> tuple[str, ...]:
    """Return the operations that a text such as ``flip+rotate`` names. Raises ``InputError``.

    They are in the order of ``AUGMENTATIONS``, whatever the order in ``text``; ``none`` names none.
    """
    if text == "none":
        return ()
    names = text.split("+")
    for index, name in enumerate(names):
        if name not in AUGMENTATIONS:
            hint = did_you_mean(name, (*AUGMENTATIONS, "none"))
            raise InputError("must be none, or operations joined by +", found=text, remedy=hint)
        if name in names[:index]:
            raise InputError("must name each operation once", found=text)
    return tuple(name for name in AUGMENTATIONS if name in names)


def _check_augment(text: str) -> str:
    split_augment(text)
    return text


_OPTIMIZERS, _LOSSES = get_args(OptimizerName), get_args(LossName)
_STEPS = ("default",)

OptimizerReference = Annotated[
    str,
    AfterValidator(name_or_reference(_OPTIMIZERS, "Class")),
    Field(json_schema_extra=name_or_reference_schema(_OPTIMIZERS)),
]
LossReference = Annotated[
    str,
    AfterValidator(name_or_reference(_LOSSES, "function")),
    Field(json_schema_extra=name_or_reference_schema(_LOSSES)),
]
StepReference = Annotated[
    str,
    AfterValidator(name_or_reference(_STEPS, "Class")),
    Field(json_schema_extra=name_or_reference_schema(_STEPS)),
]
Arguments = dict[str, Value | Annotated[tuple[Value, ...], BeforeValidator(to_tuple)]]
"""Arguments of code that a setting names."""

_OPERATION = f"({'|'.join(AUGMENTATIONS)})"

AugmentName = Annotated[
    str,
    AfterValidator(_check_augment),
    Field(json_schema_extra={"pattern": rf"^(none|{_OPERATION}(\+{_OPERATION})*)$"}),
]


# torch's defaults, and those of lion's paper: the usual one, and those of the optimizers that have
# another. So a study that names an optimizer and no more trains like a script that does.
_TORCH_DEFAULTS: dict[str, tuple[float, dict[OptimizerName, float]]] = {
    "lr": (1e-3, {"rmsprop": 1e-2, "lion": 1e-4}),
    "momentum": (0.0, {}),
    "weight_decay": (0.0, {"adamw": 1e-2}),
}

OPTIMIZER_SETTINGS: tuple[str, ...] = tuple(_TORCH_DEFAULTS)
"""The settings whose defaults depend on the optimizer; null is the same as leaving one out."""


def _as_torch(name: str, description: str) -> Any:
    """Return a field with torch's default for the optimizer, which must be declared before it."""
    usual, others = _TORCH_DEFAULTS[name]
    text = "; ".join([f"{usual:g}", *(f"{value:g} for {one}" for one, value in others.items())])
    return Field(
        default_factory=lambda settings: others.get(settings.get("optimizer"), usual),
        description=f"{description} (default as torch's or the paper's: {text})",
    )


class TrainingSettings(Spec):
    """How a model is trained. A space can search the settings in ``SHARED_PARAMETERS``."""

    epochs: int = Field(10, ge=1, le=100_000, description="epochs of each model's training")
    optimizer: OptimizerReference = Field(
        "adam", description=f"optimizer: {', '.join(_OPTIMIZERS)}, or module:Class"
    )
    optimizer_arguments: Arguments = Field(
        default_factory=dict,
        description="further arguments of the optimizer, such as betas: [0.9, 0.95]",
    )
    lr: Annotated[float, Field(gt=0, le=1000)] = _as_torch("lr", "learning rate")
    momentum: Annotated[float, Field(ge=0, lt=1)] = _as_torch(
        "momentum", "momentum of sgd and rmsprop"
    )
    nesterov: bool = Field(False, description="Nesterov's momentum, for sgd")
    weight_decay: Annotated[float, Field(ge=0)] = _as_torch(
        "weight_decay", "L2 penalty; adamw and lion: decoupled decay"
    )
    decay_norms: bool = Field(
        True, description="weight decay of biases and norm layers too, as torch's optimizers do"
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="factor of the learning rate from each layer to the one before; 1 for none",
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of the weights' moving average, which is evaluated; 0 for none",
    )
    clip_norm: float = Field(0.0, ge=0, description="bound of the gradients' norm; 0 for none")
    schedule: ScheduleName = Field("constant", description="how lr moves")
    warmup_epochs: float = Field(0.0, ge=0, description="epochs of linear warm-up to lr")
    step_epochs: int = Field(10, ge=1, description="schedule step: epochs between two drops")
    step_factor: float = Field(0.1, gt=0, le=1, description="schedule step: factor of a drop")
    batch_size: int = Field(128, ge=1, le=1_000_000, description="images per batch")
    accumulate: int = Field(
        1, ge=1, le=10_000, description="batches whose gradients add up to one training step"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="probability of dropping an activation")
    init: Init = Field(
        "default",
        description="initial weights (default: as torch draws them)",
    )
    loss: LossReference = Field(
        "cross_entropy", description=f"loss of training: {', '.join(_LOSSES)}, or module:function"
    )
    loss_arguments: Arguments = Field(
        default_factory=dict, description="arguments of a loss that is a module:function"
    )
    step: StepReference = Field(
        "default", description="training step: default, or module:Class, which makes the loss"
    )
    step_arguments: Arguments = Field(
        default_factory=dict, description="arguments of a training step that is a module:Class"
    )
    focal_gamma: float = Field(
        2.0, ge=0, le=10, description="loss focal: how little images count that are easy"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: all classes count the same, whatever their number of images"
    )
    sampling: SamplingName = Field(
        "shuffle",
        description="images of an epoch: shuffle, each once; balanced, equally many of each class",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target spread over all classes"
    )
    augment: AugmentName = Field(
        "none", description=f"augmentation: none, or {', '.join(AUGMENTATIONS)}, joined by +"
    )
    rotate_degrees: float = Field(10.0, ge=0, le=180, description="rotate: largest angle")
    jitter_brightness: float = Field(0.2, ge=0, le=1, description="jitter: factor in 1 +- this")
    jitter_contrast: float = Field(0.2, ge=0, le=1, description="jitter: factor in 1 +- this")
    jitter_saturation: float = Field(0.2, ge=0, le=1, description="jitter: factor in 1 +- this")
    jitter_hue: float = Field(0.0, ge=0, le=0.5, description="jitter: shift of the hue, in turns")
    crop_padding: int = Field(4, ge=0, le=512, description="crop: pixels added on each side")
    randaugment_operations: int = Field(
        2, ge=1, le=16, description="randaugment: operations of an image, one after the other"
    )
    randaugment_magnitude: int = Field(
        9, ge=0, le=30, description="randaugment: strength of every operation, of 30"
    )
    cutout_size: int = Field(8, ge=1, le=1024, description="cutout: side of the square, in pixels")
    erase_probability: float = Field(
        0.5, ge=0, le=1, description="erase: share of the images of which a part is erased"
    )
    erase_area: float = Field(
        0.33, gt=0, le=1, description="erase: largest share of an image that is erased"
    )
    mixup: float = Field(
        0.0, ge=0, le=10, description="blend images in pairs, by shares of Beta(this, this); 0: no"
    )
    cutmix: float = Field(
        0.0, ge=0, le=10, description="paste a part of another image, by Beta(this, this); 0: no"
    )
    adversarial: Literal["none", AttackName] = Field(
        "none", description="attack on training images"
    )
    epsilon: float = Field(0.1, ge=0, le=1, description="adversarial: largest change of a pixel")
    attack_steps: int = Field(10, ge=1, le=1000, description="adversarial: steps of pgd")
    average_flips: bool = Field(
        False,
        description="answer by the mean for an image and its mirror image: in validation, in the "
        "test and in use",
    )
    patience: int | None = Field(
        None, ge=1, description="end a trial after this many epochs without a better one"
    )
    precision: Precision = Field(
        "float32",
        description="arithmetic of the layers: float32, bfloat16, float16 (on a GPU), or auto: "
        "bfloat16 if the machine's processor computes in it",
    )
    cuda_graphs: bool = Field(
        False,
        description="on a GPU: launch each step at once, and train folds side by side (unproven)",
    )

    @field_validator("optimizer_arguments")
    @classmethod
    def _name_settings_as_such(cls, arguments: Arguments) -> Arguments:
        for name in (*OPTIMIZER_SETTINGS, "nesterov"):
            if name in arguments:
                remedy = f"Set training.{name}, which a space can search too"
                raise InputError("is a setting of its own", where=(name,), remedy=remedy)
        return arguments

    @model_validator(mode="before")
    @classmethod
    def _leave_out_null(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {k: v for k, v in data.items() if v is not None or k not in OPTIMIZER_SETTINGS}

    def changed(self, changes: Mapping[str, object]) -> TrainingSettings:
        """Return the settings with others; defaults follow the optimizer that they end with."""
        return self.model_validate({**self.model_dump(exclude_unset=True), **changes})

    @property
    def attack(self) -> AttackSpec | None:
        """The attack on training images."""
        if self.adversarial == "none":
            return None
        return AttackSpec(attack=self.adversarial, epsilon=self.epsilon, steps=self.attack_steps)

    @classmethod
    def check_value(cls, name: str, value: object) -> None:
        """Raise ``InputError``, without a location, if field ``name`` cannot take ``value``."""
        if value is None and name in OPTIMIZER_SETTINGS:
            raise InputError("must be a number", found=value)
        try:
            cls.model_validate({name: value})
        except ValidationError as error:
            raise to_input_error(error.errors(include_url=False)[0]) from None


CODE_SETTINGS: tuple[str, ...] = ("optimizer", "loss", "step")
"""The settings that may name the user's own code; ``<name>_arguments`` has its arguments."""

_NOT_SEARCHED = (
    "epochs",
    *(f"{name}_arguments" for name in CODE_SETTINGS),
    "patience",
    "precision",
    "cuda_graphs",
)

SHARED_PARAMETERS: tuple[str, ...] = tuple(
    name for name in TrainingSettings.model_fields if name not in _NOT_SEARCHED
)
"""The settings allowed at the top of a space, beside ``family``."""


def refuse_idle_nesterov(settings: TrainingSettings, *place: str | int) -> None:
    """Raise InputError if Nesterov's momentum is asked for, but sgd has no momentum by default.

    ``place`` is the location of the settings in the study.
    """
    if settings.nesterov and settings.optimizer == "sgd" and settings.momentum == 0:
        raise InputError(
            "needs momentum, which is 0 unless it is named",
            where=(*place, "nesterov"),
            found=settings.nesterov,
            remedy=f"Set {'.'.join(map(str, place))}.momentum, 0.9 for instance",
        )


def refuse_twofold_balance(settings: TrainingSettings, *place: str | int) -> None:
    """Raise InputError if rare classes are to be drawn more often and to count more as well.

    ``place`` is the location of the settings in the study.
    """
    if settings.sampling == "balanced" == settings.class_weights:
        raise InputError(
            "cannot be balanced together with class_weights: images that are drawn equally often "
            "of each class need no weights",
            where=(*place, "sampling"),
            remedy="Choose one of the two",
        )


def refuse_patience(settings: TrainingSettings, *place: str | int) -> None:
    """Raise InputError if patience is set in a study whose last epoch always counts.

    ``place`` is the location of the settings in the study.
    """
    if settings.patience is not None:
        raise InputError(
            "must be null with objective.at: last, because then the last epoch always counts",
            where=(*place, "patience"),
            found=settings.patience,
        )
