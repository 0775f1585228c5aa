"""TrainingSettings: how a model is trained where the space does not say otherwise."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from searchlab.config.trial import (
    AUGMENTATIONS,
    Init,
    OptimizerName,
    Precision,
    Scalar,
    ScheduleName,
)
from searchlab.config.validation import Spec, to_input_error
from searchlab.errors import InputError, did_you_mean

__all__ = ["SHARED_PARAMETERS", "TrainingSettings", "refuse_patience", "split_augment"]

AttackChoice = Literal["none", "fgsm", "pgd"]


def split_augment(text: str) -> tuple[str, ...]:
    """Return the operations that ``flip+rotate`` names; none for ``none``. Raises ``InputError``.

    Their order is that of ``AUGMENTATIONS`` however they are written, so that one combination has
    one meaning.
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


AugmentName = Annotated[str, AfterValidator(_check_augment)]


class TrainingSettings(Spec):
    """Fixed training settings. Those in ``SHARED_PARAMETERS`` can be searched by the same name."""

    epochs: int = Field(10, ge=1, le=100_000, description="epochs each model is trained")
    optimizer: OptimizerName = Field("adam", description="sgd, adam, adamw or rmsprop")
    lr: float = Field(1e-3, gt=0, le=1000, description="learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd and rmsprop")
    nesterov: bool = Field(False, description="Nesterov's momentum, for sgd")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty (adamw: decoupled decay)")
    clip_norm: float = Field(0.0, ge=0, description="bound of the gradients' norm; 0 for none")
    schedule: ScheduleName = Field(
        "constant", description="how lr moves: constant, cosine, step or one_cycle"
    )
    warmup_epochs: float = Field(0.0, ge=0, description="epochs of a linear rise to lr")
    step_epochs: int = Field(10, ge=1, description="schedule step: epochs between two drops")
    step_factor: float = Field(0.1, gt=0, le=1, description="schedule step: factor of a drop")
    batch_size: int = Field(128, ge=1, le=1_000_000, description="images per training step")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability of dropping an activation")
    init: Init = Field("default", description="how weights begin; default is torch's own")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target spread over all classes"
    )
    augment: AugmentName = Field(
        "none", description="none, or flip, rotate, jitter, crop, cutout, joined by +"
    )
    rotate_degrees: float = Field(10.0, ge=0, le=180, description="rotate: largest angle")
    jitter_brightness: float = Field(0.2, ge=0, le=1, description="jitter: factor in 1 +- this")
    jitter_contrast: float = Field(0.2, ge=0, le=1, description="jitter: factor in 1 +- this")
    jitter_saturation: float = Field(0.2, ge=0, le=1, description="jitter: factor in 1 +- this")
    jitter_hue: float = Field(0.0, ge=0, le=0.5, description="jitter: shift of the hue, in turns")
    crop_padding: int = Field(4, ge=0, le=512, description="crop: pixels added on each side")
    cutout_size: int = Field(8, ge=1, le=1024, description="cutout: side of the square, in pixels")
    adversarial: AttackChoice = Field(
        "none", description="perturb training images: none, fgsm or pgd"
    )
    epsilon: float = Field(0.1, ge=0, le=1, description="adversarial: largest change of a pixel")
    attack_steps: int = Field(10, ge=1, le=1000, description="adversarial: steps of pgd")
    patience: int | None = Field(
        None, ge=1, description="end a trial after so many epochs without a better one"
    )
    precision: Precision = Field(
        "float32", description="arithmetic of the layers; bfloat16 is faster where the CPU has it"
    )

    @classmethod
    def check_value(cls, name: str, value: Scalar) -> None:
        """Raise ``InputError``, without a place, if field ``name`` cannot take ``value``."""
        try:
            cls.model_validate({name: value})
        except ValidationError as error:
            raise to_input_error(error.errors(include_url=False)[0]) from None


SHARED_PARAMETERS: tuple[str, ...] = tuple(
    name
    for name in TrainingSettings.model_fields
    if name not in ("epochs", "patience", "precision")
)
"""The names that may stand at the top of a space, besides ``family``."""


def refuse_patience(settings: TrainingSettings, *place: str) -> None:
    """Raise InputError for patience, for a study in which the last epoch is always the best.

    ``place`` is where the settings stand in the study.
    """
    if settings.patience is not None:
        raise InputError(
            "must be null with objective.at: last, under which no epoch is better than the last",
            where=(*place, "patience"),
            found=settings.patience,
        )
