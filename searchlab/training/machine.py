"""What the bits of a trial depend on beside its configuration: device, torch and threads."""

from __future__ import annotations

from typing import Any

import torch

from searchlab.config.trained_folds import Machine

__all__ = ["describe_machine"]


def describe_machine(device: torch.device) -> Machine:
    """Return what this process trains with on ``device``."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:  # kernels differ by the instructions that they use
        name = f"{device.type} {torch.backends.cpu.get_cpu_capability()}"
    return Machine(
        device=name,
        torch=torch.__version__,
        num_threads=torch.get_num_threads(),
        tf32=device.type == "cuda" and _uses_tf32(),
    )


def _uses_tf32() -> bool:
    """Return whether both convolutions and matrix products may use TF32."""
    # Not allow_tf32, which raises an error after somebody has set the same by torch's newer names.
    backends: Any = torch.backends  # whose attributes mypy does not see
    kinds = backends.cudnn.conv, backends.cuda.matmul
    return all(kind.fp32_precision == "tf32" for kind in kinds)
