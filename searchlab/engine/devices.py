"""Where a trial is trained: on the GPU that was asked for, or on the CPU."""

from __future__ import annotations

from typing import Literal

import torch

from searchlab.training.failures import DeviceLostError

__all__ = ["choose_device"]


def choose_device(num_gpus: float | Literal["auto"]) -> torch.device:
    """Return CUDA where GPUs were asked for, with ``auto`` where there is one; else the CPU.

    Ray leaves every GPU visible to workers that asked for none, so that torch cannot tell. Raises
    DeviceLostError where a GPU was asked for and torch finds none.
    """
    if num_gpus == 0:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if num_gpus == "auto":
        return torch.device("cpu")
    raise DeviceLostError("torch finds no GPU, though one was asked for")
