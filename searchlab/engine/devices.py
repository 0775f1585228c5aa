"""Where a trial is trained: on the GPU that was requested, or on the CPU."""

from __future__ import annotations

from typing import Literal

import torch

from searchlab.training.failures import DeviceLostError

__all__ = ["choose_device"]


def choose_device(num_gpus: float | Literal["auto"]) -> torch.device:
    """Return CUDA if GPUs were requested, with ``auto`` if there is one; else the CPU.

    torch can't tell: Ray leaves every GPU visible to workers that requested none. Raises
    DeviceLostError if a GPU was requested and torch finds none.
    """
    if num_gpus == 0:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if num_gpus == "auto":
        return torch.device("cpu")
    raise DeviceLostError("torch finds no GPU, although one was requested")
