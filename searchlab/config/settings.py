"""TrainingSettings: how a model is trained where the space does not say otherwise."""

from __future__ import annotations

from pydantic import Field, ValidationError

from searchlab.config.trial import Init, OptimizerName, Scalar
from searchlab.config.validation import Spec, state_rule

__all__ = ["SHARED_PARAMETERS", "TrainingSettings"]


class TrainingSettings(Spec):
    """Fixed training settings. Every field but ``epochs`` can be searched under the same name."""

    epochs: int = Field(10, ge=1, le=100_000, description="epochs each model is trained")
    optimizer: OptimizerName = Field("adam", description="sgd (with momentum), adam or adamw")
    lr: float = Field(1e-3, gt=0, le=1000, description="learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd; others ignore it")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty (sgd, adam) or decay (adamw)")
    batch_size: int = Field(128, ge=1, le=1_000_000, description="images per training step")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability of dropping an activation")
    init: Init = Field("default", description="how weights begin; default is torch's own")

    @classmethod
    def check_value(cls, name: str, value: Scalar) -> None:
        """Raise ``ValueError`` naming the rule if field ``name`` cannot take ``value``."""
        try:
            cls.model_validate({name: value})
        except ValidationError as error:
            details = error.errors(include_url=False)[0]
            raise ValueError(state_rule(details)) from None


SHARED_PARAMETERS: tuple[str, ...] = tuple(
    name for name in TrainingSettings.model_fields if name != "epochs"
)
"""The names that may stand at the top of a space, besides ``family``."""
