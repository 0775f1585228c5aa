"""Updates of a model: the gradients of a step's parts, added up, scaled, clipped and followed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from searchlab.config.settings import TrainingSettings
from searchlab.errors import InputError

__all__ = ["Updates", "refuse_float16"]


class Updates:
    """Takes the steps of an optimizer: ``begin``, ``add`` the loss of each part, then ``step``.

    In float16, small gradients would be 0, so losses are scaled up and gradients down. A step whose
    gradients are not finite is left out, and the next ones are scaled less.

    Raises InputError for float16 on the CPU.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        settings: TrainingSettings,
        device: torch.device,
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._clip_norm = settings.clip_norm
        self._scaler: GradScaler | None = None
        if settings.precision == "float16":
            refuse_float16(device.type)
            self._scaler = GradScaler(device.type)

    def begin(self) -> None:
        """Forget the gradients of the step before."""
        self._optimizer.zero_grad(set_to_none=True)

    def add(self, loss: Tensor, *, share: float) -> None:
        """Add the gradient of a part's mean loss, weighted by its share of the step's images."""
        loss = loss if share == 1 else loss * share
        torch.autograd.backward(loss if self._scaler is None else self._scaler.scale(loss))

    def step(self) -> None:
        """Change the model."""
        if self._clip_norm > 0:
            if self._scaler is not None:
                self._scaler.unscale_(self._optimizer)
            clip_grad_norm_(self._model.parameters(), self._clip_norm)
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        if self._scaler is None:
            return {}
        state = self._scaler.state_dict()
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in state.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what ``tensors`` returned."""
        if self._scaler is not None:
            kinds = {name: type(value) for name, value in self._scaler.state_dict().items()}
            self._scaler.load_state_dict(
                {name: kind(tensors[name].item()) for name, kind in kinds.items()}
            )


def refuse_float16(device_type: str) -> None:
    """Raise InputError on the CPU, which computes in float16 far more slowly than in float32."""
    if device_type == "cpu":
        raise InputError(
            "cannot be float16 on the CPU",
            where=("training", "precision"),
            remedy="Choose auto, bfloat16 or float32, or train on a GPU",
        )
