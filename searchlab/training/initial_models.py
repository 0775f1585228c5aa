"""The network with which a trial's member begins, built again at any time."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from searchlab.config.trial import TrialConfig
from searchlab.models.build import build_model
from searchlab.models.saved_weights import FoldKey, initial_weights_path, load_initial_weights
from searchlab.training.images import TrainingData

__all__ = ["build_initial"]


def build_initial(config: TrialConfig, data: TrainingData, member: FoldKey) -> nn.Module:
    """Return a member's network on the CPU with its initial weights, drawn or loaded.

    The same configuration and member give the same weights. Raises InputError if the file that
    they are to be loaded from is gone.
    """
    model = build_model(
        config.model,
        config.settings,
        image_shape=data.image_shape,
        num_classes=data.num_classes,
        key=(config.seed, member, config.repeat),
    )
    if config.initial_weights is not None:
        folder, family = Path(config.initial_weights), config.model.family
        path = initial_weights_path(folder, family, config.model.scheme, member)
        load_initial_weights(model, path)
    return model
